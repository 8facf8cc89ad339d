import * as fs from "node:fs";
import * as path from "node:path/posix";

import { blockSize, paddingOf } from "../archive/tar-format.ts";
import { tarError, TarHeaders } from "../archive/tar-header.ts";
import type { BlobSource, FilePlace } from "./blob-source.ts";
import { readDocument, streamFound } from "./blob-source.ts";

/**
 * The files in an uncompressed tar archive, read in place. `docker save` of older engines shares layers by symbolic links
 * inside the archive; these are followed, and never lead out of it.
 * @throws SheafError SHEAF_TAR
 */
export function archiveSource(file: string): BlobSource {
  const members = locateMembers(file);
  const find = (name: string): Located | undefined => {
    let current = path.normalize(name);
    for (let links = 0; links < 8; links++) {
      const member = members.get(current);
      if (!member || "offset" in member) return member;
      current = path.join(path.dirname(current), member.link);
    }
    return undefined;
  };
  const place = (name: string): FilePlace | undefined => {
    const member = find(name);
    return member && { file, start: member.offset, size: member.size };
  };
  return {
    name: file,
    place,
    size: (name) => find(name)?.size,
    read: (name) => {
      const found = place(name);
      return found && readDocument(name, found, () => readAt(found));
    },
    stream: (name) => streamFound(file, name, place(name)),
  };
}

interface Located {
  offset: number;
  size: number;
}

function locateMembers(file: string): Map<string, Located | { link: string }> {
  const members = new Map<string, Located | { link: string }>();
  const headers = new TarHeaders();
  const descriptor = fs.openSync(file, "r");
  try {
    const end = fs.fstatSync(descriptor).size;
    let offset = 0;
    const take = (size: number): Uint8Array => {
      const bytes = readExactly(descriptor, offset, size);
      offset += size + paddingOf(size);
      return bytes;
    };
    while (offset < end) {
      const announced = headers.read(take(blockSize));
      if (!announced) break;
      if (announced.kind === "metadata") {
        headers.absorb(announced.typeflag, take(announced.size));
        continue;
      }
      const { path: name, type, size, target } = announced.entry;
      if (offset + size > end) throw tarError(`is cut short inside ${JSON.stringify(name)}`);
      if (type === "file") members.set(path.normalize(name), { offset, size });
      if (type === "symlink" && target !== undefined) members.set(path.normalize(name), { link: target });
      if (type === "hardlink" && target !== undefined) {
        members.set(path.normalize(name), { link: path.relative(path.dirname(path.normalize(name)), target) });
      }
      offset += size + paddingOf(size);
    }
  } finally {
    fs.closeSync(descriptor);
  }
  return members;
}

function readAt({ file, start, size }: FilePlace): Uint8Array {
  const descriptor = fs.openSync(file, "r");
  try {
    return readExactly(descriptor, start, size);
  } finally {
    fs.closeSync(descriptor);
  }
}

function readExactly(descriptor: number, position: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let read = 0;
  while (read < size) {
    const got = fs.readSync(descriptor, bytes, read, size - read, position + read);
    if (got === 0) throw tarError("is cut short");
    read += got;
  }
  return bytes;
}
