import type { ElfFacts } from "../elf/facts.ts";
import type { EntryFacts } from "../filesystem/entry.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Store } from "../store/store.ts";
import { damagedRecord } from "./damaged-input.ts";

/** What an interpreter of this machine comes to in an image. */
export interface InterpreterFacts {
  layout: PythonLayout;
  elf: { path: string; facts: ElfFacts }[];
  links: { path: string; target: string }[];
  glibcNeeded?: string;
  entriesKey: string;
  segment: SegmentRef;
  strippedBytes: number;
}

export interface InterpreterTask {
  storeRoot: string;
  choice: InterpreterChoice;
  /** Names the installation's present state. */
  key: string;
  strip: boolean;
  mtime: number;
}

export function knownInterpreter(store: Store, task: InterpreterTask): InterpreterFacts | undefined {
  const facts = store.readRecord<InterpreterFacts>("interpreter", recordKey(task));
  return facts && store.hasBlob(facts.segment.digest) && interpreterEntries(store, facts) ? facts : undefined;
}

/** Whether the store was told of it, without a look at its parts. */
export function hasInterpreter(store: Store, task: InterpreterTask): boolean {
  return store.recordTime("interpreter", recordKey(task)) !== undefined;
}

/**
 * Entries of an interpreter as copied.
 * @throws SheafError SHEAF_DAMAGED_INPUT when the list is gone: the interpreter is copied anew then
 */
export function interpreterEntries(store: Store, facts: InterpreterFacts): EntryFacts[] {
  const entries = store.readRecord<EntryFacts[]>("interpreter-entries", facts.entriesKey);
  if (entries) return entries;
  store.removeRecord("interpreter", facts.entriesKey);
  throw damagedRecord("the list of Python's files");
}

/** Copies an interpreter of this machine into a segment of the store. */
export async function ingestInterpreter(task: InterpreterTask): Promise<InterpreterFacts> {
  const [{ openStore }, { collectInterpreter }, { buildSegment }, { readFileSync }] = await Promise.all([
    import("../store/store.ts"),
    import("../interpreter/collect.ts"),
    import("../archive/segment.ts"),
    import("node:fs"),
  ]);
  const store = openStore(task.storeRoot);
  const collected = collectInterpreter(task.choice, { strip: task.strip });
  const files = collected.entries.filter((entry) => entry.type !== "directory");
  const built = buildSegment(files, { mtime: task.mtime, read: (file) => readFileSync(file) });
  const facts: InterpreterFacts = {
    layout: collected.layout,
    elf: collected.elf,
    links: collected.links,
    glibcNeeded: collected.glibcNeeded,
    entriesKey: recordKey(task),
    segment: { digest: store.putBlob(built.chunks), compressed: built.compressed, unpacked: built.unpacked },
    strippedBytes: collected.stripped,
  };
  store.writeRecord("interpreter-entries", facts.entriesKey, built.entries);
  store.writeRecord("interpreter", facts.entriesKey, facts);
  return facts;
}

function recordKey(task: InterpreterTask): string {
  return JSON.stringify([task.key, task.strip, task.mtime]);
}
