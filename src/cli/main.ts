#!/usr/bin/env node
import { exitCodes } from "../errors.ts";
import { version } from "./version.ts";

const [first] = process.argv.slice(2);
if (first === "--version" || first === "-V") {
  process.stdout.write(`sheaf ${version}\n`);
} else {
  const { loadBundle } = await import("./load-bundle.ts");
  const { runCommandLine, done } = loadBundle(first);
  process.exitCode = await runCommandLine(process.argv.slice(2));
  // What checks find is an answer too.
  if (process.exitCode === exitCodes.ok || process.exitCode === exitCodes.findings) done();
}
