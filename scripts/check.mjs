// npm run check: format, lint with the directions of imports, types, unused code. All run, then the verdict.
import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { ensureDependencies, root } from "./setup.mjs";

ensureDependencies();
const checks = [
  ["format", "oxfmt", ["--check"]],
  ["lint and import directions", "oxlint", ["--deny-warnings"]],
  ["types", "tsc", ["--noEmit"]],
  ["unused code", "knip", []],
];
const failed = checks.filter(([title, tool, args]) => {
  const started = performance.now();
  const result = spawnSync(path.join(root, "node_modules", ".bin", tool), args, { cwd: root, encoding: "utf8" });
  const fine = result.status === 0;
  console.log(`${fine ? "✓" : "✗"} ${title} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (!fine) console.log(result.stdout + result.stderr);
  return !fine;
});
process.exit(failed.length === 0 ? 0 : 1);
