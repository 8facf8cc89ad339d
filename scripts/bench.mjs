// npm run bench [name] [what it takes]: side-by-side benchmarks, each printing ratios of one run.
import { ensureDependencies, root, run } from "./setup.mjs";

ensureDependencies();
run(process.execPath, ["scripts/build.mjs", "--if-needed"]);
const [name = "build", ...words] = process.argv.slice(2);
run(process.execPath, [`${root}/bench/${name}.mjs`, ...words]);
