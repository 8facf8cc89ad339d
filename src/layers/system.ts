import { buildSegment } from "../archive/segment.ts";
import { systemEntries } from "../debian/base.ts";
import type { CachedLibrary } from "../debian/ld-so-cache.ts";
import type { ElfFacts } from "../elf/facts.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import type { DebFacts } from "../ingest/deb.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import { sha256 } from "../store/store.ts";
import { entriesOver } from "./entries-over.ts";
import { byCodeUnit } from "../order.ts";

export interface SystemRequest {
  debs: readonly DebFacts[];
  /** Libraries that are not a Debian package's: a copied interpreter's. */
  elf: readonly { path: string; facts: ElfFacts }[];
  user: { name: string; uid: number; gid: number };
  platform: Platform;
  shell: boolean;
  mtime: number;
  /** The image that all of it goes over. */
  base?: BaseImage;
}

export interface SystemSegment {
  segments: SegmentRef[];
  directories: { path: string; mode: number; uid: number; gid: number }[];
  paths: () => string[];
}

/** What installing packages makes beside their files: users, the loader's cache, the CA bundle, links. */
export function systemSegment(request: SystemRequest, store: Store): SystemSegment {
  const { debs, user, platform, shell, mtime } = request;
  const key = JSON.stringify([
    2,
    debs.map((deb) => deb.segment.digest),
    sha256(JSON.stringify(request.elf)),
    user,
    platform,
    shell,
    mtime,
    ...(request.base ? [request.base.key] : []),
  ]);
  const known = store.readRecord<SystemRecord>("system", key);
  const record = known && store.hasBlob(known.segment.digest) ? known : write(request, store);
  if (record !== known) store.writeRecord("system", key, record);
  return { segments: [record.segment], directories: record.directories, paths: () => record.paths };
}

interface SystemRecord {
  segment: SegmentRef;
  directories: SystemSegment["directories"];
  paths: string[];
}

function write({ debs, elf, user, platform, shell, mtime, base }: SystemRequest, store: Store): SystemRecord {
  const libraries = elf.flatMap(({ path, facts }): CachedLibrary[] =>
    facts.soname && /^usr\/local\/lib\/[^/]+$/.test(path) ? [{ soname: facts.soname, path: `/${path}` }] : [],
  );
  const options = { debs: debs.toSorted((a, b) => byCodeUnit(a.name, b.name)), user, platform, shell, libraries };
  const entries = base ? entriesOver(base, options) : systemEntries(options);
  const files = entries.filter((entry) => entry.type !== "directory");
  const built = buildSegment(files, { mtime });
  return {
    segment: { digest: store.putBlob(built.chunks), compressed: built.compressed, unpacked: built.unpacked },
    directories: entries.flatMap(({ type, path, mode, uid, gid }) =>
      type === "directory" ? [{ path, mode, uid, gid }] : [],
    ),
    paths: files.map((entry) => entry.path),
  };
}
