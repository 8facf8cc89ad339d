import { fatBinaryMagic, fatHeaderSize, mostEntries, readFatBinary } from "./fat-binary.ts";
import type { ByteRange, FatBinary, Reading } from "./fat-binary.ts";
import { PassingBytes } from "./passing-bytes.ts";
import { DeviceCodeSum } from "./summary.ts";
import type { AlikeBinaries, DeviceCodeSummary } from "./summary.ts";

/** The device code of a library, wherever in the file it is: among the data, too. */
export interface StreamedCode extends DeviceCodeSummary {
  /** From which it follows what a GPU finds (`coverageOfAlike`). */
  alike: AlikeBinaries[];
}

/** A fat binary that is being read, and what it asks for next. */
interface Current {
  steps: Reading<FatBinary | string>;
  at: number;
  wants: ByteRange;
}

/**
 * Reads the device code of a library as its bytes pass by, once, with a few of them in memory. Where the sections are stands at
 * the end of the file, so fat binaries are found by their magic number at multiples of 8, where the toolkit puts them; what
 * does not go on as a fat binary is none.
 */
export class StreamedCodeReader {
  readonly #size: number;
  readonly #bytes = new PassingBytes();
  readonly #sum = new DeviceCodeSum();
  readonly #alike = new Map<string, AlikeBinaries>();
  #current: Current | undefined;
  #entries = 0;
  #heldNames = 0;
  #isOver = false;

  /** @param size bytes of the library */
  constructor(size: number) {
    this.#size = size;
  }

  /** The next bytes, which are their owner's again after the call. */
  add(piece: Uint8Array): void {
    if (!this.#isOver) this.#bytes.add(piece, () => this.#look());
  }

  /** Undefined when there is none. */
  finish(): StreamedCode | undefined {
    const summary = this.#sum.summary();
    return summary.binaries === 0 ? undefined : { ...summary, alike: [...this.#alike.values()] };
  }

  #look(): void {
    while (!this.#isOver && (this.#current ? this.#goOn(this.#current) : this.#begin()));
  }

  /** @returns false while none has come */
  #begin(): boolean {
    const at = this.#bytes.find(magic);
    if (at === undefined || at + fatHeaderSize > this.#size) return false;
    const steps = readFatBinary({ start: 0, at, end: this.#size });
    const first = steps.next();
    if (!first.done) this.#current = { steps, at, wants: first.value };
    return true;
  }

  /** @returns false while the bytes that are wanted have not come */
  #goOn({ steps, at, wants }: Current): boolean {
    const bytes = this.#bytes.take(wants.offset, wants.length);
    if (!bytes) return false;
    const step = steps.next(bytes);
    if (step.done) this.#take(step.value, at);
    else this.#current = { steps, at, wants: step.value };
    return true;
  }

  #take(binary: FatBinary | string, at: number): void {
    this.#current = undefined;
    this.#bytes.moveTo(Math.max(at + 8, this.#bytes.position));
    if (typeof binary === "string" || (binary.entries.length === 0 && binary.unknown === undefined)) return;
    this.#bytes.moveTo(at + binary.size);
    this.#sum.add(binary);
    this.#entries += binary.entries.length + 1;
    this.#heldNames += addAlike(this.#alike, binary);
    if (this.#entries <= mostEntries && this.#heldNames <= mostHeld) return;
    this.#sum.addUnknown("it has more device code than any library");
    this.#isOver = true;
  }
}

/** Of a library that is at hand. */
export function streamedCodeOf(bytes: Uint8Array): StreamedCode | undefined {
  const reader = new StreamedCodeReader(bytes.length);
  reader.add(bytes);
  return reader.finish();
}

/** @returns how much more is held since, in characters */
function addAlike(alike: Map<string, AlikeBinaries>, { entries }: FatBinary): number {
  const images = entries.flatMap((entry) => entry.images);
  const key = images
    .map(({ kind, architecture: { sm, variant }, identifier }) => `${kind} ${sm}${variant} ${identifier}`)
    .join("\n");
  const known = alike.get(key);
  if (known) {
    known.binaries++;
    return 0;
  }
  alike.set(key, { images, binaries: 1 });
  return key.length;
}

const magic = Buffer.alloc(4);
magic.writeUInt32LE(fatBinaryMagic);
/** cuBLASLt has a few kilobytes. */
const mostHeld = 2 ** 22;
