import { architectureName, byArchitecture } from "./architecture.ts";
import type { Architecture } from "./architecture.ts";
import type { DeviceCode } from "./device-code.ts";
import type { FatEntry } from "./fat-binary.ts";
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
  const code = new Map<string, CodeSummary>();
  const unknown = new Set<string>();
  let zstd = false;
  for (const { section, binaries, unknown: ofSection } of sections) {
    if (ofSection !== undefined) unknown.add(`${section.name}: ${ofSection}`);
    for (const binary of binaries) {
      if (binary.unknown !== undefined) unknown.add(binary.unknown);
      for (const entry of binary.entries) {
        if (entry.storage === "zstd") zstd = true;
        addEntry(code, entry);
      }
    }
  }
  const all = [...code.values()].map((each) => ({ ...each, bytes: Math.round(each.bytes) }));
  return {
    binaries: sections.reduce((sum, { binaries }) => sum + binaries.length, 0),
    bytes: sections.reduce((sum, { section }) => sum + section.size, 0),
    code: all.sort((a, b) =>
      a.kind === b.kind ? byArchitecture(a.architecture, b.architecture) : a.kind < b.kind ? -1 : 1,
    ),
    zstd,
    unknown: [...unknown],
  };
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
  const coverage: Coverage = { machineCode: 0, ptx: 0, nothing: 0 };
  for (const { entries } of sections.flatMap(({ binaries }) => binaries)) {
    const images = imagesFor(
      entries.flatMap((entry) => entry.images),
      gpu,
    );
    if (images.some(({ kind }) => kind === "cubin")) coverage.machineCode++;
    else if (images.length > 0) coverage.ptx++;
    else coverage.nothing++;
  }
  return coverage;
}
