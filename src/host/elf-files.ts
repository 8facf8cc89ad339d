import * as fs from "node:fs";
import * as path from "node:path";

import { isElf } from "../elf/read.ts";

/** The regular files of a folder, at any depth, that begin as ELF files do; links are not followed. */
export function* elfFiles(root: string): Generator<string> {
  const stat = fs.lstatSync(root);
  if (stat.isDirectory()) {
    for (const name of fs.readdirSync(root).sort()) yield* elfFiles(path.join(root, name));
  } else if (stat.isFile() && stat.size > 64 && startsAsElf(root)) {
    yield root;
  }
}

function startsAsElf(file: string): boolean {
  const descriptor = fs.openSync(file, "r");
  try {
    const start = Buffer.alloc(4);
    return fs.readSync(descriptor, start, 0, 4, 0) === 4 && isElf(start);
  } finally {
    fs.closeSync(descriptor);
  }
}
