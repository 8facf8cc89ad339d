import type { ChildProcess } from "node:child_process";

/** Bytes kept of each stream: enough for any message, too little to fill the memory. */
const limit = 2 ** 20;

export interface BoundedText {
  add(bytes: Uint8Array): void;
  text(): string;
}

/** Keeps the first megabyte and counts the rest. */
export function boundedText(): BoundedText {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let dropped = 0;
  return {
    add: (bytes) => {
      const kept = bytes.subarray(0, limit - size);
      size += kept.length;
      dropped += bytes.length - kept.length;
      if (kept.length > 0) chunks.push(kept);
    },
    text: () => {
      const note = dropped > 0 ? `\n[${dropped} more bytes were left out]\n` : "";
      return Buffer.concat(chunks).toString("utf8") + note;
    },
  };
}

/** Collects what a child prints; the returned function reads it. */
export function collectOutput(
  child: Pick<ChildProcess, "stdout" | "stderr">,
): () => { stdout: string; stderr: string } {
  const stdout = boundedText();
  const stderr = boundedText();
  child.stdout?.on("data", stdout.add);
  child.stderr?.on("data", stderr.add);
  return () => ({ stdout: stdout.text(), stderr: stderr.text() });
}
