import { preflightPath } from "./preflight.ts";

/** The words of a start without the preflight, which hands on to the command behind it: `python -I -S FILE`. */
export function withoutPreflight(words: readonly string[]): string[] {
  const at = words.indexOf(`/${preflightPath}`);
  if (at === -1) return [...words];
  const start = words.slice(0, at).findLastIndex((word) => !/^-\w$/.test(word));
  return [...words.slice(0, Math.max(0, start)), ...words.slice(at + 1)];
}
