import { hasFatSection } from "../../cuda/device-code.ts";
import { isNvidiaLibrary } from "../../cuda/libraries.ts";
import { type StreamedCode, streamedCodeOf } from "../../cuda/streamed-code.ts";
import type { FileFact } from "./file-fact.ts";
import type { ImageFacts } from "./image-facts.ts";

/** A library of an image that has device code. */
export interface DeviceLibrary {
  file: FileFact;
  code: StreamedCode;
}

/** Every library with device code, largest code first; a file that several names share counts once. */
export function deviceLibraries({ files }: ImageFacts): DeviceLibrary[] {
  const found: DeviceLibrary[] = [];
  for (const file of files.values()) {
    if (file.deviceCode && file.linkTo === undefined) found.push({ file, code: file.deviceCode });
  }
  return found.sort((a, b) => b.code.bytes - a.code.bytes || (a.file.path < b.file.path ? -1 : 1));
}

/** The device code of a library that is at hand. Only such are read as name a section for it, and NVIDIA's, which have it elsewhere. */
export function deviceCodeIn(path: string, bytes: Uint8Array): StreamedCode | undefined {
  return hasFatSection(bytes) || isNvidiaLibrary(path) ? streamedCodeOf(bytes) : undefined;
}
