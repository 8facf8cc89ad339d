import { ByteReader } from "./byte-reader.ts";
import { blockSize, paddingOf } from "./tar-format.ts";
import type { TarFacts, TarLimits } from "./tar-header.ts";
import { cutShort, TarHeaders } from "./tar-header.ts";

export interface TarEntry extends TarFacts {
  /** The content, a view of the archive; empty for anything but files. */
  data: Uint8Array;
}

export interface StreamedTarEntry extends TarFacts {
  /** The content, to be read at most once and before the next entry is asked for; what is left unread is skipped. */
  body: AsyncIterable<Uint8Array>;
}

/**
 * Reads a tar archive that is in memory, such as a .deb's data.tar.
 * @throws SheafError SHEAF_TAR
 */
export function readTar(bytes: Uint8Array, limits?: TarLimits): TarEntry[] {
  const headers = new TarHeaders(limits);
  const entries: TarEntry[] = [];
  let offset = 0;
  const take = (size: number): Uint8Array => {
    const end = offset + size;
    if (end > bytes.length) throw cutShort();
    const taken = bytes.subarray(offset, end);
    // The last padding may be missing: some writers stop at the content's end.
    offset = Math.min(end + paddingOf(size), bytes.length);
    return taken;
  };
  while (offset < bytes.length) {
    const announced = headers.read(take(blockSize));
    if (!announced) break;
    if (announced.kind === "metadata") headers.absorb(announced.typeflag, take(announced.size));
    else entries.push({ ...announced.entry, data: take(announced.entry.size) });
  }
  return entries;
}

/**
 * Reads a tar archive of any size as it streams by, with one chunk in memory.
 * @throws SheafError SHEAF_TAR
 */
export async function* readTarStream(
  chunks: AsyncIterable<Uint8Array>,
  limits?: TarLimits,
): AsyncGenerator<StreamedTarEntry, void, void> {
  const headers = new TarHeaders(limits);
  const reader = new ByteReader(chunks, cutShort);
  try {
    while (!(await reader.ended())) {
      const announced = headers.read(await reader.take(blockSize));
      if (!announced) break;
      if (announced.kind === "metadata") {
        const body = await reader.take(announced.size);
        await reader.skip(paddingOf(announced.size));
        headers.absorb(announced.typeflag, body);
        continue;
      }
      const body = reader.stream(announced.entry.size);
      yield { ...announced.entry, body };
      await body.skipRest();
      if (!(await reader.ended())) await reader.skip(paddingOf(announced.entry.size));
    }
    // Whoever feeds the stream may hash it: everything after the end of the archive has to pass as well.
    await reader.drain();
  } finally {
    await reader.close();
  }
}
