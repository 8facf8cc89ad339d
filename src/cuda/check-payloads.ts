import { decompress } from "../archive/decompress.ts";
import { SheafError } from "../errors.ts";
import { architectureName } from "./architecture.ts";
import type { DeviceCode } from "./device-code.ts";
import type { FatEntry, FatImage } from "./fat-binary.ts";
import { viewOf } from "./little-endian.ts";
import { decompressLz4 } from "./lz4.ts";
import { guarded } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";

/**
 * Decompresses all device code of a library and holds it against what the entries' headers say: machine code must be an
 * ELF file for that architecture, PTX must name it as its target.
 *
 * @returns what does not agree, one sentence each, without a full stop
 */
export async function payloadProblems(
  file: RandomAccess,
  { sections }: Pick<DeviceCode, "sections">,
): Promise<string[]> {
  const source = guarded(file);
  const problems: string[] = [];
  for (const { section, binaries } of sections) {
    for (const [index, { offset, entries }] of binaries.entries()) {
      for (const entry of entries) {
        const payload = await readPayload(source, section.offset + offset, entry);
        const problem = payload ? imageProblem(payload, entry) : "can't be decompressed";
        if (problem) problems.push(`${section.name}, fat binary ${index}: ${describe(entry)} ${problem}`);
      }
    }
  }
  return problems;
}

/** An entry's device code, decompressed; undefined when it is damaged. */
export async function readPayload(
  source: RandomAccess,
  binary: number,
  entry: FatEntry,
): Promise<Uint8Array | undefined> {
  const { storage, offset, headerSize, storedSize, unpackedSize } = entry;
  if (unpackedSize > largestPayload || storedSize > largestPayload) return undefined;
  const stored = await source.read(binary + offset + headerSize, storedSize);
  if (storage === "raw") return stored;
  if (storage === "lz4") return decompressLz4(stored, unpackedSize);
  try {
    const payload = await decompress(stored, unpackedSize);
    return payload.length === unpackedSize ? payload : undefined;
  } catch (error) {
    if (error instanceof SheafError) return undefined;
    throw error;
  }
}

function imageProblem(payload: Uint8Array, { kind, images }: FatEntry): string | undefined {
  // Images that are compressed together follow one another; the first stands for all.
  const [image] = images;
  if (!image) return "has no image";
  return kind === "ptx" || image.kind === "ptx" ? ptxProblem(payload, image) : cubinProblem(payload, image);
}

function cubinProblem(payload: Uint8Array, { architecture }: FatImage): string | undefined {
  if (payload.length < 64 || viewOf(payload).getUint32(0, true) !== 0x464c457f) return "is no ELF file";
  const view = viewOf(payload);
  if (view.getUint16(18, true) !== 190) return `is code for machine ${view.getUint16(18, true)}`;
  const flags = view.getUint32(48, true);
  // CUDA 13 has the architecture in the second byte of the flags, those before it in the first.
  const sm = payload[7] === 0x41 ? (flags >>> 8) & 0xffff : flags & 0xff;
  return sm === architecture.sm ? undefined : `is code for sm_${sm}`;
}

function ptxProblem(payload: Uint8Array, { architecture }: FatImage): string | undefined {
  const text = Buffer.from(payload.subarray(0, 2 ** 16)).toString("latin1");
  const target = /^\s*\.target\s+(?:sm|compute)_(\d+[af]?)/m.exec(text)?.[1];
  if (target === undefined) return "names no target";
  return target === architectureName(architecture, "") ? undefined : `is for ${target}`;
}

function describe({ images }: FatEntry): string {
  return images
    .map(({ kind, architecture }) => architectureName(architecture, kind === "ptx" ? "compute_" : "sm_"))
    .join(" and ");
}

/** The largest of CUDA 12 has 137 MB, in cuBLASLt. */
const largestPayload = 2 ** 28;
