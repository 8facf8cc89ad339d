#!/usr/bin/env node
import * as module from "node:module";

import { version } from "./version.ts";

// Node 22 and newer keep compiled code between runs, which halves the time to load the bundle.
const cache = (module as { enableCompileCache?: () => void }).enableCompileCache;
cache?.();

const [first] = process.argv.slice(2);
if (first === "--version" || first === "-V") {
  process.stdout.write(`sheaf ${version}\n`);
} else {
  const { runCommandLine } = await import("./run-command-line.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2));
}
