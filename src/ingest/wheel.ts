import type { ElfFacts } from "../elf/facts.ts";
import type { EntryFacts } from "../filesystem/entry.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Distribution } from "../resolve/resolution.ts";
import type { Digest, Store } from "../store/store.ts";
import { damagedInput, damagedRecord } from "./damaged-input.ts";

/** What a wheel comes to in an image: its segment in the store, and the facts that plans are made of. */
export interface WheelFacts {
  name: string;
  version: string;
  requiresDist: string[];
  requiresPython?: string;
  /** Top-level importable names. */
  modules: string[];
  /** Console scripts, name → `module:attribute`. */
  consoleScripts: Record<string, string>;
  elf: { path: string; facts: ElfFacts }[];
  /** Bytes of symbol and debug sections that were left out, and of how many libraries. */
  strippedBytes: number;
  strippedFiles: number;
  /** Key of the record that lists the entries. */
  entriesKey: string;
  segment: SegmentRef;
  /** What was done to its CUDA libraries; absent when nothing was. */
  device?: DeviceFacts;
}

/** What is done to the CUDA libraries of a wheel. */
export interface DeviceOptions {
  /** Compute capabilities as 86, 90; empty: all device code stays. */
  targets: number[];
  /** Files that are left out, sorted by path. */
  leaveOut: LeftOut[];
}

/** Files of a wheel that are left out, or replaced by a stub. */
export interface LeftOut {
  /** Path in the wheel, as installed below the library folder; a trailing `*` stands for all that begin so. */
  path: string;
  how: "drop" | "stub";
  /** As settings name the library: `cufft`. */
  library: string;
  /** What brings it back: `keep = ["cufft"]`. */
  setting: string;
}

/** Sizes in bytes, of all files of the wheel that were looked at. */
export interface DeviceFacts {
  before: number;
  after: number;
  /** Sorted by path from the root of the image. */
  libraries: DeviceLibrary[];
}

export interface DeviceLibrary {
  path: string;
  before: number;
  after: number;
  outcome: "trimmed" | "whole" | "dropped" | "stubbed";
  /** Why device code stayed. */
  note?: string;
}

/** A distribution with what its wheel comes to. */
export interface IngestedWheel {
  distribution: Distribution;
  facts: WheelFacts;
}

export interface WheelTask {
  storeRoot: string;
  digest: Digest;
  filename: string;
  layout: PythonLayout;
  strip: boolean;
  /** Paths that another distribution has already put there with the same bytes. */
  exclude: string[];
  /** Seconds since 1970 for every entry. */
  mtime: number;
  /** Absent: CUDA libraries stay as they are. */
  device?: DeviceOptions;
}

/** Raised when the same wheel gives other bytes. */
const wheelVersion = 1;

/** The facts from an earlier run, when the store still holds all that belongs to them. */
export function knownWheel(store: Store, task: WheelTask): WheelFacts | undefined {
  const facts = store.readRecord<WheelFacts>("wheel", wheelKey(task));
  return facts && store.hasBlob(facts.segment.digest) && wheelEntries(store, facts) ? facts : undefined;
}

/** Has the wheel fetched and installed again: its copy in the store is damaged or gone. */
export function forgetWheel(store: Store, facts: WheelFacts): void {
  store.removeRecord("wheel", facts.entriesKey);
}

/**
 * Entries of a wheel as installed.
 * @throws SheafError SHEAF_DAMAGED_INPUT when the list is gone: the wheel is installed anew then
 */
export function wheelEntries(store: Store, facts: WheelFacts): EntryFacts[] {
  const entries = store.readRecord<EntryFacts[]>("wheel-entries", facts.entriesKey);
  if (entries) return entries;
  store.removeRecord("wheel", facts.entriesKey);
  throw damagedRecord(`the list of files of ${facts.name} ${facts.version}`);
}

/**
 * Installs a wheel from the store into a segment of the store.
 * @throws SheafError for a wheel that is damaged or hostile
 */
export async function ingestWheel(task: WheelTask): Promise<WheelFacts> {
  const [{ openStore }, { installWheel }, { buildSegment }] = await Promise.all([
    import("../store/store.ts"),
    import("../wheel/install.ts"),
    import("../archive/segment.ts"),
  ]);
  const store = openStore(task.storeRoot);
  const bytes = store.readBlob(task.digest);
  if (!bytes) throw damagedInput(task.digest);
  const installed = installWheel(bytes, {
    filename: task.filename,
    layout: task.layout,
    strip: task.strip,
    exclude: new Set(task.exclude),
  });
  const built = buildSegment(installed.entries, { mtime: task.mtime });
  const digest = store.putBlob(built.chunks);
  const entriesKey = wheelKey(task);
  const facts: WheelFacts = {
    name: installed.name,
    version: installed.version,
    requiresDist: installed.requiresDist,
    requiresPython: installed.requiresPython,
    modules: installed.modules,
    consoleScripts: Object.fromEntries(
      installed.entryPoints
        .filter((point) => point.group === "console_scripts")
        .map((point) => [point.name, point.value]),
    ),
    elf: installed.elf,
    strippedBytes: installed.strippedBytes,
    strippedFiles: installed.strippedFiles,
    entriesKey,
    segment: { digest, compressed: built.compressed, unpacked: built.unpacked },
  };
  store.writeRecord("wheel-entries", entriesKey, built.entries);
  store.writeRecord("wheel", entriesKey, facts);
  return facts;
}

function wheelKey(task: WheelTask): string {
  const { digest, filename, layout, strip, exclude, mtime } = task;
  return JSON.stringify([wheelVersion, digest, filename, layout, strip, exclude, mtime]);
}
