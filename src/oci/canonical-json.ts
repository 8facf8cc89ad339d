import { byCodeUnit } from "../order.ts";

/** JSON whose bytes depend on the value alone: keys sorted by code unit at every depth, no spaces, `undefined` left out. */
export function canonicalJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(sorted(value)), "utf8");
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => byCodeUnit(a, b));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}
