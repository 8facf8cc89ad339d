import * as fs from "node:fs";

import type { RandomAccess } from "../cuda/random-access.ts";

/**
 * A file to read in places, open while `use` runs.
 *
 * @throws the file system's error; an Error when the file became shorter
 */
export async function withFile<T>(path: string, use: (file: RandomAccess) => Promise<T>): Promise<T> {
  const descriptor = fs.openSync(path, "r");
  try {
    return await use({
      size: fs.fstatSync(descriptor).size,
      read(offset, length) {
        const bytes = Buffer.allocUnsafeSlow(length);
        for (let done = 0; done < length;) {
          const count = fs.readSync(descriptor, bytes, done, length - done, offset + done);
          if (count === 0)
            throw new Error(`${path} has no ${length} bytes at ${offset}: it was changed while it was read`);
          done += count;
        }
        return bytes;
      },
    });
  } finally {
    fs.closeSync(descriptor);
  }
}
