import * as fs from "node:fs";
import * as path from "node:path";

import { buildSegment } from "../archive/segment.ts";
import { compileBytecode } from "../bytecode/compile.ts";
import { SheafError } from "../errors.ts";
import type { Entry, FileEntry } from "../filesystem/entry.ts";
import { cachedPath } from "../bytecode/cached-path.ts";
import type { ImagePlan, PlannedFile } from "../plan/image-plan.ts";
import type { Digest, Store } from "../store/store.ts";
import { composeGroup, type ComposedGroup } from "../layers/compose-group.ts";
import { composeLayerTask } from "../layers/tasks.ts";
import type { Overlay } from "../layers/overlay.ts";
import { projectMetadata } from "./project-metadata.ts";
import { byPath } from "../order.ts";

export interface AppLayerRequest {
  plan: ImagePlan;
  /** The repository. */
  root: string;
  /** Paths in the image of the project's modules that are compiled. */
  reached: string[];
  /** Interpreter of this machine that compiles them. */
  compiler?: string;
  /** The base image. */
  over?: Overlay;
}

/**
 * The layer of the project's own files: last, because it changes most often.
 * @throws SheafError SHEAF_CHANGED when a file is no longer what was planned
 */
export async function composeAppLayer(request: AppLayerRequest, store: Store): Promise<ComposedGroup> {
  const { plan, root } = request;
  const key = JSON.stringify([
    plan.files,
    plan.writable,
    plan.user.value,
    plan.project,
    request.reached,
    plan.python?.layout ?? null,
    plan.options,
    request.compiler !== undefined,
  ]);
  const known = store.readRecord<AppSegment>("app-segment", key);
  const segment = known && store.hasBlob(known.segment.digest) ? known : await writeSegment(request, store);
  if (segment !== known) store.writeRecord("app-segment", key, segment);
  const { uid, gid } = plan.user.value;
  const workdir = plan.config.workdir.value.slice(1);
  const { over } = request;
  // The layer is small: on a thread, starting that would take longer than the work.
  const composed = await composeGroup(
    {
      kind: "app",
      name: `${plan.python ? plan.project.name : plan.name} files`,
      segments: [segment.segment],
      directories: plan.writable.map((folder) => ({
        path: over?.tree.resolve(folder) ?? folder,
        mode: 0o755,
        uid,
        gid,
      })),
      paths: () => [...segment.paths, `${over?.tree.resolve(workdir) ?? workdir}/`],
      contents: [],
      mtime: plan.options.created,
    },
    { store, compose: composeLayerTask, ...(over ? { over } : {}) },
  );
  if (segment !== known) await checkUnchanged(plan.files, root);
  return composed;
}

interface AppSegment {
  segment: { digest: Digest; compressed: number; unpacked: number };
  paths: string[];
}

async function writeSegment({ plan, root, reached, compiler }: AppLayerRequest, store: Store): Promise<AppSegment> {
  const { python } = plan;
  const bytecode = compiler && python ? await compileOwn({ python, plan, root, reached, compiler }, store) : [];
  const entries = [...plan.files.map((file) => entryOf(file, root)), ...bytecode, ...projectMetadata(plan)].toSorted(
    byPath,
  );
  const built = buildSegment(entries, { mtime: plan.options.created, read: (file) => fs.readFileSync(file) });
  const promised = new Map(plan.files.map((file) => [file.path, file]));
  for (const entry of built.entries) {
    const file = promised.get(entry.path);
    if (file && file.symlink === undefined && file.sha256 !== entry.sha256) throw changed(file.from ?? file.path);
  }
  return {
    segment: { digest: store.putBlob(built.chunks), compressed: built.compressed, unpacked: built.unpacked },
    paths: entries.map((entry) => entry.path),
  };
}

function entryOf(file: PlannedFile, root: string): Entry {
  const common = { path: file.path, mode: file.mode, uid: 0, gid: 0 };
  if (file.symlink !== undefined) return { ...common, type: "symlink", target: file.symlink };
  if (file.text !== undefined)
    return { ...common, type: "file", content: { kind: "bytes", bytes: Buffer.from(file.text) } };
  return {
    ...common,
    type: "file",
    content: { kind: "disk", file: path.join(root, file.from ?? ""), size: file.size },
  };
}

type CompileRequest = AppLayerRequest & { compiler: string; python: NonNullable<ImagePlan["python"]> };

/** Compiles modules of the project; each is kept by its source, so that a change compiles one. */
async function compileOwn(
  { python, plan, root, reached, compiler }: CompileRequest,
  store: Store,
): Promise<FileEntry[]> {
  const { layout, version } = python;
  const minor = version.split(".").slice(0, 2).join(".");
  const byPath = new Map(plan.files.map((file) => [file.path, file]));
  const modules = reached.flatMap((target) => {
    const file = byPath.get(target);
    return file?.from && file.symlink === undefined
      ? [{ target, from: file.from, key: JSON.stringify([minor, target, file.sha256]) }]
      : [];
  });
  const compiled = new Map<string, Uint8Array>();
  const open = modules.filter(({ target, key }) => {
    const record = store.readRecord<{ blob: Digest | null }>("own-bytecode", key);
    const bytes = record?.blob ? store.readBlob(record.blob) : undefined;
    if (bytes) compiled.set(target, bytes);
    return !record || (record.blob !== null && !bytes);
  });
  const sources = open.map(({ target, from }) => ({
    source: fs.readFileSync(path.join(root, from)),
    path: `/${target}`,
  }));
  const results = await compileBytecode({
    python: compiler,
    minor,
    modules: sources,
    processes: open.length > 40 ? 2 : 1,
  });
  for (const [index, { target, key }] of open.entries()) {
    const bytes = results[index];
    store.writeRecord("own-bytecode", key, { blob: bytes ? store.putBlob(bytes) : null });
    if (bytes) compiled.set(target, bytes);
  }
  return [...compiled].map(([target, bytes]) => ({
    type: "file",
    path: cachedPath(target, layout.cacheTag),
    mode: 0o644,
    uid: 0,
    gid: 0,
    content: { kind: "bytes", bytes },
  }));
}

/** A file that was written to while it was read may be half of one state and half of another. */
async function checkUnchanged(files: PlannedFile[], root: string): Promise<void> {
  for (const file of files) {
    if (!file.from || file.symlink !== undefined) continue;
    const size = fs.statSync(path.join(root, file.from), { throwIfNoEntry: false })?.size;
    if (size !== file.size) throw changed(file.from);
  }
}

function changed(file: string): SheafError {
  return new SheafError("SHEAF_CHANGED", `${file} changed while it was being packed`, {
    hint: "run the command again",
  });
}
