import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";

/** Writes chunks under a temporary name beside `file` and renames it when they are complete; nothing is left when they fail. */
export async function writeAtomically(
  file: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const temporary = `${file}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
  try {
    const handle = await fs.open(temporary, "wx", 0o644);
    try {
      // FileHandle.writeFile goes on where the last one ended, and writes all of the chunk.
      for await (const chunk of chunks) await handle.writeFile(chunk);
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file);
  } finally {
    await fs.rm(temporary, { force: true });
  }
}
