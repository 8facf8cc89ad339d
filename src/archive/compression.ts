import { SheafError } from "../errors.ts";

export type Compression = "gzip" | "xz" | "zstd" | "none";

/**
 * By magic number.
 * @throws SheafError SHEAF_COMPRESSION for one that Sheaf can't undo
 */
export function compressionOf(head: Uint8Array): Compression {
  const found = magics.find(({ magic }) => magic.every((byte, index) => head[index] === byte));
  if (!found) return "none";
  if (found.name === "bzip2" || found.name === "lzma") {
    throw new SheafError("SHEAF_COMPRESSION", `the data is compressed with ${found.name}, which Sheaf does not read`, {
      hint: "use a package or image that is compressed with gzip, xz or zstd",
    });
  }
  return found.name;
}

const magics: { name: Compression | "bzip2" | "lzma"; magic: number[] }[] = [
  { name: "gzip", magic: [0x1f, 0x8b] },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68] },
  { name: "lzma", magic: [0x5d, 0x00, 0x00] },
];
