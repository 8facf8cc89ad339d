// npm test: everything from a fresh clone. Arguments go to vitest: `npm test -- test/oci`.
import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { ensureDependencies, root } from "./setup.mjs";

ensureDependencies();
const node = process.execPath;
const build = spawnSync(node, [path.join(root, "scripts", "build.mjs"), "--if-needed"], {
  cwd: root,
  stdio: "inherit",
});
if (build.status !== 0) process.exit(build.status ?? 1);
const json = process.env.SHEAF_VITEST_JSON;
const reporters = json ? ["--reporter=default", "--reporter=json", `--outputFile.json=${json}`] : [];
const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
const tests = spawnSync(node, [vitest, "run", ...reporters, ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
process.exit(tests.status ?? 1);
