import * as fs from "node:fs";

import type { ByteSource } from "../archive/byte-source.ts";

/**
 * An open file as a source. Reading past its end, which it has when it became shorter since, is an Error.
 *
 * @param name what errors call it
 */
export function fileSource(descriptor: number, name: string): ByteSource {
  return {
    size: fs.fstatSync(descriptor).size,
    read(offset, length) {
      const bytes = Buffer.allocUnsafeSlow(length);
      for (let done = 0; done < length;) {
        const count = fs.readSync(descriptor, bytes, done, length - done, offset + done);
        if (count === 0) {
          throw new Error(`${name} has no ${length} bytes at ${offset}: it was changed while it was read`);
        }
        done += count;
      }
      return bytes;
    },
  };
}
