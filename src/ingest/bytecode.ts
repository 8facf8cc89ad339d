import { buildSegment } from "../archive/segment.ts";
import { bytecodeRecipe, Compiler } from "../bytecode/compile.ts";
import type { FileEntry } from "../filesystem/entry.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Digest, Store } from "../store/store.ts";
import { cachedPath } from "../bytecode/cached-path.ts";
import type { ModuleOwner } from "./python-modules.ts";
import { byCodeUnit, byPath } from "../order.ts";

export interface CompileRequest {
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

interface CompileServices {
  store: Store;
  tasks: { bytecode: (task: BytecodeTask) => Promise<OwnerBytecode> };
}

/**
 * Bytecode of modules that are named one after another: each is compiled as soon as it is named, unless the store has it.
 * `finish` gives a segment of .pyc files for each owner.
 */
export class BytecodeSession {
  readonly #request: CompileRequest;
  readonly #services: CompileServices;
  readonly #compiler: Compiler;
  readonly #owners = new Map<ModuleOwner, OwnerWork>();

  constructor(request: CompileRequest, services: CompileServices) {
    this.#request = request;
    this.#services = services;
    this.#compiler = new Compiler(request);
  }

  /** @param file source file of the owner, as a path in the image */
  add(owner: ModuleOwner, file: string): void {
    let work = this.#owners.get(owner);
    if (!work) {
      work = { paths: [], packed: packedPaths(this.#services.store, packKey(owner, this.#request)), fresh: new Map() };
      this.#owners.set(owner, work);
    }
    work.paths.push(file);
    if (!work.packed.has(file)) work.fresh.set(file, this.#compile(owner, file));
  }

  /** @throws SheafError SHEAF_BYTECODE */
  async finish(): Promise<Map<ModuleOwner, OwnerBytecode>> {
    const segments = [...this.#owners].map(
      async ([owner, work]) => [owner, await this.#segmentOf(owner, work)] as const,
    );
    return new Map(await Promise.all(segments));
  }

  /** Ends the interpreters. */
  close(): void {
    this.#compiler.close();
  }

  async #segmentOf(owner: ModuleOwner, { paths, fresh }: OwnerWork): Promise<OwnerBytecode> {
    const { store, tasks } = this.#services;
    const sorted = paths.toSorted(byCodeUnit);
    const segment = segmentKey(owner, sorted, this.#request);
    const known = store.readRecord<OwnerBytecode>("bytecode", segment);
    if (known && store.hasBlob(known.segment.digest)) return known;
    const key = packKey(owner, this.#request);
    const pack = openPack(store, key);
    // What the pack was said to have is compiled anew when its blob turns out damaged.
    const missing = sorted.filter((file) => !pack.has(file));
    const compiled = await Promise.all(missing.map((file) => fresh.get(file) ?? this.#compile(owner, file)));
    for (const [index, file] of missing.entries()) pack.set(file, compiled[index] ?? null);
    if (missing.length > 0) savePack(store, key, pack);
    const { cacheTag, mtime } = this.#request;
    const bytecode = await tasks.bytecode({ storeRoot: store.root, packKey: key, paths: sorted, cacheTag, mtime });
    store.writeRecord("bytecode", segment, bytecode);
    return bytecode;
  }

  #compile(owner: ModuleOwner, file: string): Promise<Uint8Array | undefined> {
    const source = owner.read(file);
    if (!source) return Promise.resolve(undefined);
    const compiled = this.#compiler.compile({ source, path: `/${file}`, origin: owner.origin?.(file) });
    // Awaited by `finish`; a failure before that must not count as unhandled.
    compiled.catch(() => {});
    return compiled;
  }
}

interface OwnerWork {
  paths: string[];
  /** What the store says that it has. */
  packed: ReadonlySet<string>;
  fresh: Map<string, Promise<Uint8Array | undefined>>;
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

function packedPaths(store: Store, key: string): ReadonlySet<string> {
  const known = store.readRecord<Pack>("bytecode-pack", key);
  return new Set(known && store.hasBlob(known.blob) ? Object.keys(known.index) : []);
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
