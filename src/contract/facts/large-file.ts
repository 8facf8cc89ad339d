import { createHash } from "node:crypto";

import { StreamedCodeReader } from "../../cuda/streamed-code.ts";
import { isElf } from "../../elf/read.ts";
import { ElfSieve } from "./elf-sieve.ts";
import type { ContentFacts } from "./file-fact.ts";
import type { ReadingBudget } from "./reading-budget.ts";

/** The digest of a file of any size, and where it is a library what the loader reads, and what a GPU's driver does. */
export class LargeFile {
  readonly #size: number;
  readonly #budget: ReadingBudget;
  readonly #hash = createHash("sha256");
  #library: { sieve: ElfSieve; code: StreamedCodeReader } | undefined;

  constructor(size: number, budget: ReadingBudget) {
    this.#size = size;
    this.#budget = budget;
  }

  /**
   * To be waited for: what is held of a library is large, so no two of an image are read at once.
   * @param first the file's first bytes, four at least
   */
  begin(first: Uint8Array): Promise<void> | undefined {
    if (isElf(first)) return this.#beginLibrary(first);
    this.add(first);
    return undefined;
  }

  add(piece: Uint8Array): void {
    this.#hash.update(piece);
    this.#library?.sieve.add(piece);
    this.#library?.code.add(piece);
  }

  end(): ContentFacts {
    const deviceCode = this.#library?.code.finish();
    const facts = { sha256: this.#hash.digest("base64url"), ...this.#library?.sieve.finish() };
    this.abandon();
    return deviceCode ? { ...facts, deviceCode } : facts;
  }

  /** No more of the content comes: what is held is let go. */
  abandon(): void {
    if (this.#library) this.#budget.endTurn();
    this.#library = undefined;
  }

  async #beginLibrary(first: Uint8Array): Promise<void> {
    await this.#budget.takeTurn();
    this.#library = { sieve: new ElfSieve(this.#size), code: new StreamedCodeReader(this.#size) };
    this.add(first);
  }
}
