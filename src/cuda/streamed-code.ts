import { fatBinaryMagic, fatHeaderSize, mostEntries, readFatBinary } from "./fat-binary.ts";
import type { FatBinary } from "./fat-binary.ts";
import { ForwardSource } from "./forward-source.ts";
import { DeviceCodeSum } from "./summary.ts";
import type { AlikeBinaries, DeviceCodeSummary } from "./summary.ts";

/** The device code of a library, wherever in the file it is: among the data, too. */
export interface StreamedCode extends DeviceCodeSummary {
  /** From which it follows what a GPU finds (`coverageOfAlike`). */
  alike: AlikeBinaries[];
}

/**
 * Reads the device code of a library as its bytes pass by, once, with a few of them in memory. Where the sections are stands at
 * the end of the file, so fat binaries are found by their magic number at multiples of 8, where the toolkit puts them; what
 * does not go on as a fat binary is none. Reads the stream to its end.
 *
 * @param size bytes of the stream
 * @returns undefined when there is none
 */
export async function readStreamedCode(
  chunks: AsyncIterable<Uint8Array>,
  size: number,
): Promise<StreamedCode | undefined> {
  const source = new ForwardSource(chunks, size);
  const sum = new DeviceCodeSum();
  const alike = new Map<string, AlikeBinaries>();
  let entries = 0;
  let held = 0;
  let at = await source.find(0, magic);
  while (at !== undefined && at + fatHeaderSize <= size) {
    const binary = await readFatBinary(source, { start: 0, at, end: size });
    const isOne = typeof binary !== "string" && (binary.entries.length > 0 || binary.unknown !== undefined);
    if (isOne) {
      sum.add(binary);
      entries += binary.entries.length + 1;
      held += addAlike(alike, binary);
    }
    if (entries > mostEntries || held > mostHeld) {
      sum.addUnknown("it has more device code than any library");
      break;
    }
    at = await source.find(isOne ? at + binary.size : Math.max(at + 8, source.position), magic);
  }
  await source.drain();
  const summary = sum.summary();
  return summary.binaries === 0 ? undefined : { ...summary, alike: [...alike.values()] };
}

/** @returns how much more is held since: characters of names, and images */
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
