import type { ElfFacts } from "../elf/facts.ts";
import { type Emit, silent } from "../events.ts";
import type { EntryFacts } from "../filesystem/entry.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Distribution } from "../resolve/resolution.ts";
import type { Digest, Store } from "../store/store.ts";
import { damagedRecord } from "./damaged-input.ts";
import { type DeviceFacts, type DeviceOptions, mayTrim } from "./device.ts";

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
const wheelVersion = 3;

/** The facts from an earlier run, when the store still holds all that belongs to them. */
export function knownWheel(store: Store, task: WheelTask): WheelFacts | undefined {
  const facts = store.readRecord<WheelFacts>("wheel", wheelKey(settled(store, task)));
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
 * Installs a wheel from the store into a segment of the store. What is large is streamed, and device code is taken out of
 * libraries in a file without a name: memory does not grow with the wheel.
 *
 * @param emit is told of each library that takes seconds
 * @throws SheafError for a wheel that is damaged or hostile
 */
export async function ingestWheel(task: WheelTask, emit: Emit = silent): Promise<WheelFacts> {
  const [{ openStore }, { withWheel }, { prepareWheel }, { writeSegment }] = await Promise.all([
    import("../store/store.ts"),
    import("./wheel-blob.ts"),
    import("./prepare-wheel.ts"),
    import("../archive/segment.ts"),
  ]);
  const store = openStore(task.storeRoot);
  return withWheel(store, task.digest, async (source) => {
    const prepared = await prepareWheel(source, { ...task, store, emit });
    const writer = store.openBlobWriter();
    try {
      const { installed } = prepared;
      const { mtime } = task;
      const built = await writeSegment(installed.entries, { mtime }, (chunk) => writer.write(chunk));
      const { digest } = writer.commit();
      if (prepared.deviceCode) store.writeRecord(deviceRecord, task.digest, prepared.deviceCode);
      const entriesKey = wheelKey(settled(store, task));
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
      if (prepared.device) facts.device = prepared.device;
      store.writeRecord("wheel-entries", entriesKey, built.entries);
      store.writeRecord("wheel", entriesKey, facts);
      return facts;
    } catch (error) {
      writer.abort();
      throw error;
    } finally {
      prepared.close();
    }
  });
}

/** Paths of a wheel's libraries with device code, by the wheel's digest: the same whatever is done to them. */
const deviceRecord = "wheel-device";

/** The task without what does nothing to its wheel, so that one without device code is the same for all targets. */
function settled(store: Store, task: WheelTask): WheelTask {
  const { device, ...rest } = task;
  if (!device) return task;
  const libraries = device.targets.length > 0 ? store.readRecord<string[]>(deviceRecord, task.digest) : [];
  const isTrimmed = !libraries || libraries.some((path) => mayTrim(path, task));
  if (isTrimmed) return task;
  return device.leaveOut.length > 0 ? { ...rest, device: { ...device, targets: [] } } : rest;
}

function wheelKey(task: WheelTask): string {
  const { digest, filename, layout, strip, exclude, mtime, device } = task;
  const parts = [wheelVersion, digest, filename, layout, strip, exclude, mtime];
  return JSON.stringify(device ? [...parts, device] : parts);
}
