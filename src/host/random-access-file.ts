import * as fs from "node:fs";

import type { RandomAccess } from "../cuda/random-access.ts";
import { fileSource } from "./file-source.ts";

/**
 * A file to read in places, open while `use` runs.
 *
 * @throws the file system's error; an Error when the file became shorter
 */
export async function withFile<T>(path: string, use: (file: RandomAccess) => Promise<T>): Promise<T> {
  const descriptor = fs.openSync(path, "r");
  try {
    return await use(fileSource(descriptor, path));
  } finally {
    fs.closeSync(descriptor);
  }
}
