import type { ElfFacts } from "../elf/facts.ts";
import type { EntryFacts } from "../filesystem/entry.ts";
import type { DebEffect } from "../debian/effects.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Digest, Store } from "../store/store.ts";
import { damagedInput } from "./damaged-input.ts";

/** What a Debian package comes to in an image. */
export interface DebFacts {
  name: string;
  version: string;
  architecture: string;
  entries: EntryFacts[];
  elf: { path: string; facts: ElfFacts }[];
  links: { path: string; target: string }[];
  effects: DebEffect[];
  segment: SegmentRef;
}

export interface DebTask {
  storeRoot: string;
  digest: Digest;
  ignoreScripts: string[];
  mtime: number;
}

const debVersion = 3;

export function knownDeb(store: Store, task: DebTask): DebFacts | undefined {
  const facts = store.readRecord<DebFacts>("deb", debKey(task));
  return facts && store.hasBlob(facts.segment.digest) ? facts : undefined;
}

/** Unpacks a Debian package from the store into a segment of the store; its directories are not part of the segment. */
export async function ingestDeb(task: DebTask): Promise<DebFacts> {
  const [{ openStore }, { installDeb }, { buildSegment }] = await Promise.all([
    import("../store/store.ts"),
    import("../debian/install-deb.ts"),
    import("../archive/segment.ts"),
  ]);
  const store = openStore(task.storeRoot);
  const bytes = store.readBlob(task.digest);
  if (!bytes) throw damagedInput(task.digest);
  const installed = await installDeb(bytes, { ignoreScripts: task.ignoreScripts });
  const files = installed.entries.filter((entry) => entry.type !== "directory");
  const directories = installed.entries.filter((entry) => entry.type === "directory");
  const built = buildSegment(files, { mtime: task.mtime });
  const digest = store.putBlob(built.chunks);
  const facts: DebFacts = {
    name: installed.name,
    version: installed.version,
    architecture: installed.architecture,
    entries: [...directories.map(({ path, type, mode }) => ({ path, type, mode, size: 0 })), ...built.entries],
    elf: installed.elf,
    links: installed.links,
    effects: installed.effects,
    segment: { digest, compressed: built.compressed, unpacked: built.unpacked },
  };
  store.writeRecord("deb", debKey(task), facts);
  return facts;
}

function debKey(task: DebTask): string {
  return JSON.stringify([debVersion, task.digest, task.ignoreScripts, task.mtime]);
}
