import { createHash } from "node:crypto";
import type { Store } from "../store/store.ts";

/** The part of the store that remembers parsed files. */
export type ParseRecords = Pick<Store, "readRecord" | "writeRecord">;

/** Raise it when what is remembered changes its shape or meaning: with every change to how apps or imports are found. */
const VERSION = 2;

/** What a parser gave for a text, from the records when they have it. An undefined result is not remembered. */
export async function remembered<T>(
  records: ParseRecords | undefined,
  key: { kind: string; text: string },
  parse: () => Promise<T>,
): Promise<T> {
  if (!records) return parse();
  const hash = createHash("sha256").update(`${VERSION}\0${key.kind}\0${key.text}`).digest("hex");
  const known = records.readRecord<{ value: T }>("parsed", hash);
  if (known && Object.hasOwn(known, "value")) return known.value;
  const value = await parse();
  if (value !== undefined) records.writeRecord("parsed", hash, { value });
  return value;
}
