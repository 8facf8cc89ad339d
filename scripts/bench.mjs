// npm run bench [name]: side-by-side benchmarks, each printing ratios of one run.
import { ensureDependencies, root, run } from "./setup.mjs";

ensureDependencies();
run(process.execPath, ["scripts/build.mjs", "--if-needed"]);
const [name = "build"] = process.argv.slice(2);
run(process.execPath, [`${root}/bench/${name}.mjs`]);
