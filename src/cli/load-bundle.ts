import * as fs from "node:fs";
import * as module from "node:module";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

import { defaultStoreRoot } from "../store/store-root.ts";
import { loadCompiled } from "./compiled-code.ts";
import type * as CommandLine from "./run-command-line.ts";
import { version } from "./version.ts";

export interface Bundle {
  runCommandLine: typeof CommandLine.runCommandLine;
  /** To be called when a command has come to its end. */
  done(): void;
}

/**
 * Loads the bundled command line with its compiled code.
 * @param command the word that was given, whose code is kept apart from that of others
 */
export function loadBundle(command: string | undefined): Bundle {
  const file = bundleFile();
  const { enableCompileCache } = module as { enableCompileCache?: () => void };
  if (enableCompileCache) {
    enableCompileCache();
    const { runCommandLine } = module.createRequire(file)(file) as typeof CommandLine;
    return { runCommandLine, done: () => {} };
  }
  const { size, mtimeMs } = fs.statSync(file);
  const word = /^[a-z]{1,16}$/.test(command ?? "") ? command : "help";
  const name = `${word}-${version}-${process.version}-${process.arch}-${size}-${Math.floor(mtimeMs)}`;
  const { exports, save } = loadCompiled({ file, cache: path.join(defaultStoreRoot(), "code", name) });
  const done = () => {
    if (performance.now() < longest) save();
  };
  return { runCommandLine: (exports as typeof CommandLine).runCommandLine, done };
}

/**
 * In ms: a command that takes longer runs code that a short one would only have to read back. What a long one gains is
 * nothing beside what it takes.
 */
const longest = 2000;

/** dist/command-line.cjs, seen from whichever bundled file this module ended up in. */
function bundleFile(): string {
  const here = import.meta.url;
  return fileURLToPath(new URL(`${here.includes("/chunks/") ? "../" : "./"}command-line.cjs`, here));
}
