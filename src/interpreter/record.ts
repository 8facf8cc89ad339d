import { createHash } from "node:crypto";
import * as fs from "node:fs";

import type { Entry, EntryFacts, FileEntry } from "../filesystem/entry.ts";
import type { Store } from "../store/store.ts";
import type { InterpreterChoice } from "./choose.ts";
import { collectInterpreter, interpreterKey, type CollectOptions, type Interpreter } from "./collect.ts";

/** What is known of an interpreter in an image without reading it again. */
export interface InterpreterFacts extends Omit<Interpreter, "entries"> {
  files: EntryFacts[];
}

export interface KnownInterpreter {
  facts: InterpreterFacts;
  /** Reads the installation, at most once. */
  entries: () => Entry[];
}

/**
 * The facts from the store when the installation is untouched since, else by reading it, which keeps them. The first takes
 * a few milliseconds, the second a third of a second.
 *
 * @throws SheafError SHEAF_INTERPRETER when the installation can't be read
 */
export function knownInterpreter(
  choice: InterpreterChoice,
  store: Store,
  options: CollectOptions = {},
): KnownInterpreter {
  let collected: Interpreter | undefined;
  const collect = () => (collected ??= collectInterpreter(choice, options));
  const key = interpreterKey(choice, options);
  let facts = store.readRecord<InterpreterFacts>(recordKind, key);
  if (!facts) {
    const { entries, ...rest } = collect();
    facts = { ...rest, files: entries.map(factsOf) };
    store.writeRecord(recordKind, key, facts);
  }
  return { facts, entries: () => collect().entries };
}

const recordKind = "interpreter";

function factsOf(entry: Entry): EntryFacts {
  const { path, type, mode } = entry;
  if (entry.type === "file") {
    const bytes = bytesOf(entry);
    return { path, type, mode, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  }
  return { path, type, mode, size: 0, ...(entry.type === "directory" ? {} : { target: entry.target }) };
}

function bytesOf({ content }: FileEntry): Uint8Array {
  if (content.kind === "disk") return fs.readFileSync(content.file);
  if (content.kind === "bytes") return content.bytes;
  throw new Error("interpreters are collected as whole files");
}
