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

/** Where a last line begins that is the complaint as far as it has come: it is written in pieces. */
function complaintStart(text: Buffer): number {
  const from = Math.max(0, text.length - complaint.length);
  for (let start = from; start < text.length; start++) {
    if (complaint.startsWith(text.subarray(start).toString("latin1")) && !isInsideLine(text, start)) return start;
  }
  return text.length;
}

function isInsideLine(text: Buffer, start: number): boolean {
  return start > 0 && text[start - 1] !== 0x0a;
}
