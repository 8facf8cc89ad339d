import { setTimeout as delay } from "node:timers/promises";

import { tarError } from "../../archive/tar-header.ts";
import type { TarFacts } from "../../archive/tar-header.ts";
import type { SheafError } from "../../errors.ts";
import type { Interest } from "./content-rules.ts";

/** Bytes of texts of one image that are held at most; what is more is read, hashed and let go. */
const mostText = 96 * 1024 * 1024;
/** Of all entries' headers, counted as `headerCost` does: some 700,000 files. Images of 10 GB have a quarter of that. */
const mostHeaders = 200_000_000;
const headerCost = 200;
/** Bytes that all layers together may unpack to, in KiB. */
const mostUnpacked = 128 * 1024 * 1024;

const cells = { text: 0, headers: 1, unpacked: 2, turn: 3 };

export interface BudgetOptions {
  /** Of the same image's budget on another thread. */
  shared?: SharedArrayBuffer;
  /** Ends waiting. */
  signal?: AbortSignal;
}

/** What the layers of an image may take together while they are read, on whichever threads. */
export class ReadingBudget {
  readonly interest: Interest;
  /** For the other threads, to make the same budget of. */
  readonly shared: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #signal: AbortSignal | undefined;

  constructor(interest: Interest, { shared = fresh(), signal }: BudgetOptions = {}) {
    this.interest = interest;
    this.shared = shared;
    this.#cells = new Int32Array(shared);
    this.#signal = signal;
  }

  /** Waits until nobody else reads a file that takes much memory, whichever layer it is in. */
  async takeTurn(): Promise<void> {
    while (Atomics.compareExchange(this.#cells, cells.turn, 0, 1) !== 0) {
      // A thread that was lost gives no turn back.
      this.#signal?.throwIfAborted();
      await delay(2);
    }
  }

  endTurn(): void {
    Atomics.store(this.#cells, cells.turn, 0);
  }

  /** Whether a text of this size may be held. */
  takeText(size: number): boolean {
    return this.#take(cells.text, size);
  }

  /** @throws SheafError SHEAF_TAR when the image has more than any has that somebody runs */
  takeEntry({ path, target = "", size }: Pick<TarFacts, "path" | "target" | "size">): void {
    if (!this.#take(cells.headers, headerCost + path.length + target.length))
      throw tarError(`is of an image with more files than can be read: the last one is ${JSON.stringify(path)}`);
    if (size / 1024 > Atomics.load(this.#cells, cells.unpacked)) throw tooLarge(`at ${JSON.stringify(path)}`);
  }

  /**
   * @param size bytes that a layer unpacked to, the archive's own among them
   * @throws SheafError SHEAF_TAR as `takeEntry`
   */
  takeUnpacked(size: number): void {
    if (!this.#take(cells.unpacked, Math.ceil(size / 1024))) throw tooLarge("with what lies behind its last entry");
  }

  #take(cell: number, amount: number): boolean {
    // Conversions to 32 bits would make a small number of a huge one.
    if (amount > 0x7fffffff) return false;
    const before = Atomics.sub(this.#cells, cell, amount);
    if (before >= amount) return true;
    Atomics.add(this.#cells, cell, amount);
    return false;
  }
}

function tooLarge(where: string): SheafError {
  return tarError(`unpacks to more than an image may have, ${where}`);
}

function fresh(): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(16);
  new Int32Array(shared).set([mostText, mostHeaders, mostUnpacked, 0]);
  return shared;
}
