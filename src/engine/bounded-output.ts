import type { ChildProcess } from "node:child_process";

/** Bytes kept of each stream: enough for any message, too little to fill the memory. */
const limit = 2 ** 20;

/** Collects what a child prints, up to a megabyte each; the returned function reads it. The rest passes unkept. */
export function collectOutput(
  child: Pick<ChildProcess, "stdout" | "stderr">,
): () => { stdout: string; stderr: string } {
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  return () => ({ stdout: stdout(), stderr: stderr() });
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  let dropped = 0;
  stream?.on("data", (chunk: Buffer) => {
    const kept = chunk.subarray(0, limit - size);
    size += kept.length;
    dropped += chunk.length - kept.length;
    if (kept.length > 0) chunks.push(kept);
  });
  return () =>
    Buffer.concat(chunks).toString("utf8") + (dropped > 0 ? `\n[${dropped} more bytes were left out]\n` : "");
}
