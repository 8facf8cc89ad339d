import { blockSize, paddingOf } from "./tar-format.ts";
import type { TarFacts, TarLimits } from "./tar-header.ts";
import { cutShort, TarHeaders } from "./tar-header.ts";

/** Takes in the content of one entry. */
export interface ContentSink {
  /**
   * @param piece the next bytes, whose memory is the stream's again when the call is over
   * @returns what has to be waited for before that
   */
  add(piece: Uint8Array): Promise<void> | undefined;
  /** All of the content has been added. */
  end(): void;
}

/** What is called with each entry, and takes its content when that is wanted. */
export type TarVisitor = (entry: TarFacts) => ContentSink | undefined;

/**
 * Reads a tar archive as it streams by, as `readTarStream` does, but without a promise for every header: of an image with a
 * hundred thousand files these take longer than reading it.
 * @throws SheafError SHEAF_TAR
 */
export class TarScanner {
  readonly #headers: TarHeaders;
  readonly #visit: TarVisitor;
  /** A header, or metadata, that is not there to its end. */
  #held: Uint8Array = empty;
  /** What `#held` becomes when it is whole. */
  #metadata: { typeflag: string; size: number } | undefined;
  #sink: ContentSink | undefined;
  /** Bytes of the entry that are still to come. */
  #content = 0;
  /** Bytes up to the next header; the last ones of an archive may be missing. */
  #padding = 0;
  #wholePadding = 0;
  #ended = false;

  constructor(visit: TarVisitor, limits?: TarLimits) {
    this.#headers = new TarHeaders(limits);
    this.#visit = visit;
  }

  /** Takes the next bytes in. Gives what has to be waited for on the way. */
  *push(chunk: Uint8Array): Generator<Promise<void>, void, void> {
    let at = 0;
    while (at < chunk.length && !this.#ended) {
      if (this.#content > 0) {
        const size = Math.min(this.#content, chunk.length - at);
        const adding = this.#sink?.add(chunk.subarray(at, at + size));
        if (adding) yield adding;
        at += size;
        this.#content -= size;
      } else if (this.#padding > 0) {
        const size = Math.min(this.#padding, chunk.length - at);
        at += size;
        this.#padding -= size;
      } else {
        const wanted = (this.#metadata?.size ?? blockSize) - this.#held.length;
        const part = chunk.subarray(at, at + wanted);
        at += part.length;
        if (part.length < wanted) this.#held = Buffer.concat([this.#held, part]);
        else this.#takeWhole(this.#held.length === 0 ? part : Buffer.concat([this.#held, part]));
      }
      if (this.#content > 0 || !this.#sink) continue;
      this.#sink.end();
      this.#sink = undefined;
    }
  }

  /** The stream is over. */
  finish(): void {
    if (this.#ended) return;
    const isInPadding = this.#padding > 0 && this.#padding < this.#wholePadding;
    if (this.#content > 0 || this.#held.length > 0 || this.#metadata || isInPadding) throw cutShort();
  }

  /** A header block, or the body of metadata. */
  #takeWhole(bytes: Uint8Array): void {
    this.#held = empty;
    if (this.#metadata) {
      const { typeflag } = this.#metadata;
      this.#metadata = undefined;
      this.#pad(bytes.length);
      // It is looked at with the next header, when the stream may have its memory again.
      return this.#headers.absorb(typeflag, Uint8Array.from(bytes));
    }
    const announced = this.#headers.read(bytes);
    if (!announced) this.#ended = true;
    else if (announced.kind === "metadata") this.#announce(announced);
    else this.#begin(announced.entry);
  }

  #announce({ typeflag, size }: { typeflag: string; size: number }): void {
    if (size > 0) this.#metadata = { typeflag, size };
    else this.#headers.absorb(typeflag, empty);
  }

  #begin(entry: TarFacts): void {
    this.#sink = this.#visit(entry);
    this.#content = entry.size;
    this.#pad(entry.size);
  }

  #pad(size: number): void {
    this.#padding = paddingOf(size);
    this.#wholePadding = this.#padding;
  }
}

const empty = new Uint8Array();
