/**
 * Follows the frames of a zstd stream (RFC 8878, 3.1) as it passes, and refuses what asks for more memory than data of that
 * kind does: a decoder makes room for a frame's window, and moves it with every block.
 */
export class ZstdFrames {
  readonly #largestWindow: number;
  readonly #reading: Generator<Wanted, never, Uint8Array>;
  #wanted: Wanted;
  #held: Uint8Array = empty;

  /** @param largestWindow bytes that a frame may look back */
  constructor(largestWindow: number) {
    this.#largestWindow = largestWindow;
    this.#reading = this.#frames();
    this.#wanted = this.#reading.next(empty).value;
  }

  /** @throws Error when a frame in it has too large a window; what is damaged is left to the decoder */
  pass(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const missing = this.#wanted.size - (this.#wanted.isSkipped ? 0 : this.#held.length);
      const part = chunk.subarray(at, at + missing);
      at += part.length;
      if (this.#wanted.isSkipped) {
        this.#wanted = { ...this.#wanted, size: missing - part.length };
        if (this.#wanted.size === 0) this.#wanted = this.#reading.next(empty).value;
        continue;
      }
      this.#held = Buffer.concat([this.#held, part]);
      if (this.#held.length < this.#wanted.size) return;
      const bytes = this.#held;
      this.#held = empty;
      this.#wanted = this.#reading.next(bytes).value;
    }
  }

  *#frames(): Generator<Wanted, never, Uint8Array> {
    for (;;) {
      const magic = number(yield take(4));
      if (magic >= 0x184d2a50 && magic <= 0x184d2a5f) yield* skip(number(yield take(4)));
      else if (magic === 0xfd2fb528) yield* this.#frame();
      else yield* skip(Number.POSITIVE_INFINITY);
    }
  }

  *#frame(): Generator<Wanted, void, Uint8Array> {
    const descriptor = number(yield take(1));
    const isSingle = (descriptor & 0x20) !== 0;
    if (!isSingle) {
      const window = number(yield take(1));
      const base = 2 ** (10 + (window >> 3));
      this.#check(base + (base / 8) * (window & 7));
    }
    yield* skip([0, 1, 2, 4][descriptor & 3] ?? 0);
    const contentSize = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    const content = contentSize === 0 ? 0 : number(yield take(contentSize));
    // A frame in one segment looks back to its beginning.
    if (isSingle) this.#check(content);
    for (let isLast = false; !isLast;) {
      const block = number(yield take(3));
      isLast = (block & 1) !== 0;
      // A run takes one byte, however long it becomes.
      yield* skip(((block >> 1) & 3) === 1 ? 1 : block >> 3);
    }
    if ((descriptor & 4) !== 0) yield* skip(4);
  }

  #check(window: number): void {
    if (window > this.#largestWindow)
      throw new Error(`it looks back ${window} bytes, more than ${this.#largestWindow}`);
  }
}

interface Wanted {
  /** Bytes. */
  size: number;
  isSkipped: boolean;
}

function take(size: number): Wanted {
  return { size, isSkipped: false };
}

function* skip(size: number): Generator<Wanted, void, Uint8Array> {
  if (size > 0) yield { size, isSkipped: true };
}

/** Little-endian. */
function number(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

const empty = new Uint8Array();
