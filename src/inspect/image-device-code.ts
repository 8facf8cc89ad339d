import { deviceLibraries } from "../contract/facts/device-code.ts";
import { readImageFacts } from "../contract/facts/read-image.ts";
import { coverageOfAlike } from "../cuda/summary.ts";
import { SheafError } from "../errors.ts";
import type { Image } from "../oci/image.ts";
import type { FolderCode, LibraryCode } from "./device-code.ts";
import { ownerOf } from "./owner-of.ts";

/** A library of an image: with the layer that has the last word on it, and who brought it. */
export interface ImageLibraryCode extends LibraryCode {
  layer: number;
  owner?: string;
}

/**
 * Reads which device code the libraries of an image have, as a container would see them. Layers are read as streams, so a library of a
 * gigabyte takes no more memory than its tables.
 *
 * @param options.targets compute capabilities to hold it against, as 86
 * @returns libraries by path; `broken` is what begins as an ELF file and is none
 * @throws SheafError SHEAF_IMAGE for a layer that can't be read
 */
export async function readImageCode(
  image: Image,
  { targets, signal }: { targets: readonly number[]; signal: AbortSignal },
): Promise<FolderCode & { libraries: ImageLibraryCode[] }> {
  const facts = await readImageFacts(image, { interest: { startModules: new Set(), files: new Set() }, signal });
  const unreadable = facts.problems.find(({ code }) => code === "unreadable");
  if (unreadable) throw new SheafError("SHEAF_IMAGE", unreadable.message, { hint: "build or save the image again" });
  const libraries = deviceLibraries(facts).map(({ file, code: { alike, ...summary } }): ImageLibraryCode => {
    const owner = ownerOf(file.path, facts);
    return {
      path: file.path,
      size: file.size,
      layer: file.layer,
      ...(owner ? { owner: `${owner.name} ${owner.version}` } : {}),
      ...summary,
      coverage: targets.map((target) => ({ target, ...coverageOfAlike(alike, target) })),
      elsewhere: [],
    };
  });
  return { libraries: libraries.sort((a, b) => (a.path < b.path ? -1 : 1)), broken: [] };
}
