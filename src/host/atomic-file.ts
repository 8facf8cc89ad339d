import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import * as fs from "node:fs/promises";

/** Temporary files under way, for the end of a process that is interrupted: nothing else would remove them. */
const underWay = new Set<string>();
let watching = false;

/** Writes chunks under a temporary name beside `file` and renames it when they are complete; nothing is left when they fail. */
export async function writeAtomically(
  file: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const temporary = `${file}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
  underWay.add(temporary);
  removeAtExit();
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
    underWay.delete(temporary);
  }
}

function removeAtExit(): void {
  if (watching) return;
  watching = true;
  process.on("exit", () => {
    for (const file of underWay) rmSync(file, { force: true });
  });
}
