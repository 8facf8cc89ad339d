import { architectureName, byArchitecture } from "./architecture.ts";
import type { Architecture } from "./architecture.ts";
import type { DeviceCode } from "./device-code.ts";
import type { FatBinary, FatEntry, FatImage } from "./fat-binary.ts";
import { imagesFor } from "./select.ts";

/** How much device code a library has, by what it is for. */
export interface DeviceCodeSummary {
  /** Fat binaries, and their bytes in the file. */
  binaries: number;
  bytes: number;
  code: CodeSummary[];
  /** Whether any is compressed with zstd, which older drivers don't know. */
  zstd: boolean;
  /** What is not understood, and why. */
  unknown: string[];
}

export interface CodeSummary {
  kind: "cubin" | "ptx";
  /** `sm_90a`, `compute_90` of PTX. */
  name: string;
  architecture: Architecture;
  images: number;
  /** As stored. Of images that are compressed together, each has an equal share. */
  bytes: number;
}

/** Sorted: machine code before PTX, then by architecture. */
export function summarizeDeviceCode({ sections }: Pick<DeviceCode, "sections">): DeviceCodeSummary {
  const sum = new DeviceCodeSum();
  for (const { section, binaries, unknown } of sections) {
    if (unknown !== undefined) sum.addUnknown(`${section.name}: ${unknown}`);
    for (const binary of binaries) sum.add(binary);
  }
  return { ...sum.summary(), bytes: sections.reduce((all, { section }) => all + section.size, 0) };
}

/** Adds up fat binaries one after another, and holds none. */
export class DeviceCodeSum {
  #binaries = 0;
  #bytes = 0;
  #zstd = false;
  readonly #code = new Map<string, CodeSummary>();
  readonly #unknown = new Set<string>();

  add({ size, entries, unknown }: FatBinary): void {
    this.#binaries++;
    this.#bytes += size;
    if (unknown !== undefined) this.addUnknown(unknown);
    for (const entry of entries) {
      if (entry.storage === "zstd") this.#zstd = true;
      addEntry(this.#code, entry);
    }
  }

  addUnknown(reason: string): void {
    if (this.#unknown.size < mostReasons) this.#unknown.add(reason);
  }

  summary(): DeviceCodeSummary {
    const code = [...this.#code.values()].map((each) => ({ ...each, bytes: Math.round(each.bytes) }));
    return {
      binaries: this.#binaries,
      bytes: this.#bytes,
      code: code.sort(byKindAndArchitecture),
      zstd: this.#zstd,
      unknown: [...this.#unknown],
    };
  }
}

/** Of a library that somebody made to have many. */
const mostReasons = 100;

export function byKindAndArchitecture(a: CodeSummary, b: CodeSummary): number {
  if (a.kind !== b.kind) return a.kind < b.kind ? -1 : 1;
  return byArchitecture(a.architecture, b.architecture);
}

function addEntry(code: Map<string, CodeSummary>, entry: FatEntry): void {
  for (const { kind, architecture } of entry.images) {
    const name = architectureName(architecture, kind === "ptx" ? "compute_" : "sm_");
    const known = code.get(name) ?? { kind, name, architecture, images: 0, bytes: 0 };
    known.images++;
    known.bytes += entry.size / entry.images.length;
    code.set(name, known);
  }
}

/** How many of a library's fat binaries have machine code for a GPU, PTX that the driver compiles for it, or nothing. */
export interface Coverage {
  machineCode: number;
  ptx: number;
  nothing: number;
}

/** Asks of each fat binary what the driver would take of it for a GPU. */
export function coverageOf({ sections }: Pick<DeviceCode, "sections">, gpu: number): Coverage {
  const binaries = sections.flatMap((section) => section.binaries);
  return coverageOfAlike(
    binaries.map(({ entries }) => ({ images: entries.flatMap((entry) => entry.images), binaries: 1 })),
    gpu,
  );
}

/** Fat binaries that hold code of the same kinds for the same architectures. */
export interface AlikeBinaries {
  images: FatImage[];
  binaries: number;
}

export function coverageOfAlike(alike: readonly AlikeBinaries[], gpu: number): Coverage {
  const coverage: Coverage = { machineCode: 0, ptx: 0, nothing: 0 };
  for (const { images, binaries } of alike) {
    const chosen = imagesFor(images, gpu);
    if (chosen.some(({ kind }) => kind === "cubin")) coverage.machineCode += binaries;
    else if (chosen.length > 0) coverage.ptx += binaries;
    else coverage.nothing += binaries;
  }
  return coverage;
}
