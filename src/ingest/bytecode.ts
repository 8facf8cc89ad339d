import { buildSegment } from "../archive/segment.ts";
import { bytecodeRecipe, compileBytecode } from "../bytecode/compile.ts";
import type { FileEntry } from "../filesystem/entry.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Digest, Store } from "../store/store.ts";
import { cachedPath } from "../bytecode/cached-path.ts";
import type { ModuleOwner } from "./python-modules.ts";
import { byCodeUnit, byPath } from "../order.ts";

export interface CompileRequest {
  /** Which files of which owners. */
  wanted: ReadonlyMap<ModuleOwner, string[]>;
  /** Executable on this machine, of the image's minor. */
  python: string;
  minor: string;
  /** `cpython-312` */
  cacheTag: string;
  mtime: number;
}

/** The .pyc files of one owner. */
export interface OwnerBytecode {
  segment: SegmentRef;
  paths: string[];
}

/** Compiled modules of an owner: one blob, and where each .pyc is in it; null for what does not compile. */
interface Pack {
  blob: Digest;
  index: Record<string, [offset: number, length: number] | null>;
}

/**
 * Compiles what the store has not compiled before, all owners in one go, and writes a segment of .pyc files for each owner.
 * @throws SheafError SHEAF_BYTECODE
 */
export async function compileModules(
  request: CompileRequest,
  { store, tasks }: { store: Store; tasks: { bytecode: (task: BytecodeTask) => Promise<OwnerBytecode> } },
): Promise<Map<ModuleOwner, OwnerBytecode>> {
  const result = new Map<ModuleOwner, OwnerBytecode>();
  const open: { owner: ModuleOwner; paths: string[] }[] = [];
  for (const [owner, paths] of request.wanted) {
    const known = store.readRecord<OwnerBytecode>("bytecode", segmentKey(owner, paths, request));
    if (known && store.hasBlob(known.segment.digest)) result.set(owner, known);
    else open.push({ owner, paths });
  }
  if (open.length === 0) return result;
  const packs = new Map(open.map(({ owner }) => [owner, openPack(store, packKey(owner, request))]));
  await fillPacks(open, packs, request);
  await Promise.all(
    open.map(async ({ owner, paths }) => {
      const pack = packs.get(owner);
      if (!pack) return;
      savePack(store, packKey(owner, request), pack);
      const { cacheTag, mtime } = request;
      const task = { storeRoot: store.root, packKey: packKey(owner, request), paths, cacheTag, mtime };
      const bytecode = await tasks.bytecode(task);
      store.writeRecord("bytecode", segmentKey(owner, paths, request), bytecode);
      result.set(owner, bytecode);
    }),
  );
  return result;
}

export interface BytecodeTask {
  storeRoot: string;
  /** Names the pack that the compiled modules are in. */
  packKey: string;
  /** Source files, as paths in the image. */
  paths: string[];
  /** `cpython-312` */
  cacheTag: string;
  mtime: number;
}

/** Writes a segment of .pyc files out of a pack. What did not compile is left out. */
export async function ingestBytecode(task: BytecodeTask): Promise<OwnerBytecode> {
  const { openStore } = await import("../store/store.ts");
  const store = openStore(task.storeRoot);
  const pack = openPack(store, task.packKey);
  const entries: FileEntry[] = task.paths
    .flatMap((source): FileEntry[] => {
      const bytes = pack.get(source);
      if (!bytes) return [];
      const content = { kind: "bytes", bytes } as const;
      return [{ type: "file", path: cachedPath(source, task.cacheTag), mode: 0o644, uid: 0, gid: 0, content }];
    })
    .toSorted(byPath);
  const built = buildSegment(entries, { mtime: task.mtime });
  const segment = { digest: store.putBlob(built.chunks), compressed: built.compressed, unpacked: built.unpacked };
  return { segment, paths: entries.map((entry) => entry.path) };
}

type OpenPack = Map<string, Uint8Array | null>;

async function fillPacks(
  open: { owner: ModuleOwner; paths: string[] }[],
  packs: Map<ModuleOwner, OpenPack>,
  { python, minor }: CompileRequest,
): Promise<void> {
  const missing = open.flatMap(({ owner, paths }) =>
    paths.filter((path) => !packs.get(owner)?.has(path)).map((path) => ({ owner, path, source: owner.read(path) })),
  );
  const modules = missing.map(({ path, source }) => ({ source: source ?? new Uint8Array(), path: `/${path}` }));
  const compiled = await compileBytecode({ python, minor, modules });
  for (const [index, { owner, path, source }] of missing.entries()) {
    packs.get(owner)?.set(path, (source && compiled[index]) || null);
  }
}

function openPack(store: Store, key: string): OpenPack {
  const known = store.readRecord<Pack>("bytecode-pack", key);
  const bytes = known && store.readBlob(known.blob);
  if (!bytes) return new Map();
  return new Map(Object.entries(known.index).map(([path, at]) => [path, at && bytes.subarray(at[0], at[0] + at[1])]));
}

function savePack(store: Store, key: string, pack: OpenPack): void {
  const index: Pack["index"] = {};
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const [path, bytes] of [...pack].toSorted(([a], [b]) => byCodeUnit(a, b))) {
    index[path] = bytes && [offset, bytes.length];
    if (bytes) chunks.push(bytes);
    offset += bytes?.length ?? 0;
  }
  store.writeRecord("bytecode-pack", key, { blob: store.putBlob(chunks), index } satisfies Pack);
}

function packKey(owner: ModuleOwner, { minor }: CompileRequest): string {
  return JSON.stringify([bytecodeRecipe, owner.key, minor]);
}

function segmentKey(owner: ModuleOwner, paths: string[], { minor, mtime }: CompileRequest): string {
  return JSON.stringify([bytecodeRecipe, owner.key, minor, mtime, paths]);
}
