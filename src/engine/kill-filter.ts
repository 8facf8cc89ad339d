import { Transform, type TransformCallback } from "node:stream";

/** unshare dies of the signal that its child died of; for SIGKILL it fails to, says this and exits with 1 (util-linux 2.36 to 2.40 at least). */
const complaint = "unshare: sigprocmask unblock failed: Invalid argument\n";

/** Passes a standard error on without that complaint, and remembers that it was there. */
export class KillFilter extends Transform {
  killed = false;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const text = chunk.subarray(-complaint.length).toString("latin1");
    this.killed = text === complaint;
    done(null, this.killed ? chunk.subarray(0, -complaint.length) : chunk);
  }
}
