import { Transform, type TransformCallback } from "node:stream";

/** unshare dies of the signal that its child died of; for SIGKILL it fails to, says this and exits with 1 (util-linux 2.36 to 2.40 at least). */
const complaint = "unshare: sigprocmask unblock failed: Invalid argument\n";

/** Passes a standard error on without that complaint, and remembers that it was there. */
export class KillFilter extends Transform {
  #held = Buffer.alloc(0);

  /** Whether the stream has ended with the complaint. */
  get killed(): boolean {
    return this.#held.toString("latin1") === complaint;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const text = Buffer.concat([this.#held, chunk]);
    const from = complaintStart(text);
    this.#held = text.subarray(from);
    done(null, text.subarray(0, from));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.killed ? undefined : this.#held);
  }
}

/** Where the end of a text begins that is the complaint as far as it has come: it is written in pieces, the first being `unshare: `. */
function complaintStart(text: Buffer): number {
  const shortest = "unshare: ".length;
  for (let start = Math.max(0, text.length - complaint.length); start <= text.length - shortest; start++) {
    if (complaint.startsWith(text.subarray(start).toString("latin1"))) return start;
  }
  return text.length;
}
