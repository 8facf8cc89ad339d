#!/usr/bin/env node
import { version } from "./version.ts";

const [first] = process.argv.slice(2);
if (first === "--version" || first === "-V") {
  process.stdout.write(`sheaf ${version}\n`);
} else {
  const { loadBundle } = await import("./load-bundle.ts");
  const { runCommandLine, done } = loadBundle(first);
  process.exitCode = await runCommandLine(process.argv.slice(2));
  if (process.exitCode === 0) done();
}
