import { SheafError } from "../errors.ts";

/** One line of entry_points.txt, its value as written: `app.main:run [extra]`. */
export interface EntryPoint {
  group: string;
  name: string;
  value: string;
}

/** What a script calls. */
export interface ObjectReference {
  module: string;
  /** Dotted path below the module; the scripts' specification demands one. */
  attribute: string;
}

/**
 * Parses entry_points.txt (entry points specification): INI with `=` as the only delimiter, case-sensitive names,
 * whole-line comments. A name that comes twice in a group has its last value, as in pip.
 *
 * @throws SheafError SHEAF_WHEEL
 */
export function parseEntryPoints(text: string): EntryPoint[] {
  const found = new Map<string, EntryPoint>();
  let group: string | undefined;
  for (const raw of text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/)) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const section = /^\[(.*)\]$/.exec(line);
    if (section) {
      group = (section[1] ?? "").trim();
      continue;
    }
    const equals = line.indexOf("=");
    if (group === undefined || equals < 1) {
      throw new SheafError("SHEAF_WHEEL", `entry_points.txt has a line that is neither a group nor name = value`, {
        details: [["line", line]],
      });
    }
    const point = { group, name: line.slice(0, equals).trim(), value: line.slice(equals + 1).trim() };
    found.set(`${group}\0${point.name}`, point);
  }
  return [...found.values()];
}

/**
 * The object that a script's entry point names; extras are ignored as the specification asks.
 *
 * @throws SheafError SHEAF_WHEEL when the value has no callable or could not stand in Python source
 */
export function scriptReference(point: EntryPoint): ObjectReference {
  const match = /^([^\s:[\]]+)\s*:\s*([^\s:[\]]+)\s*(?:\[[^\]]*\])?$/.exec(point.value);
  const module = match?.[1] ?? "";
  const attribute = match?.[2] ?? "";
  if (dottedName.test(module) && dottedName.test(attribute)) return { module, attribute };
  throw new SheafError("SHEAF_WHEEL", `the ${point.group} entry point ${point.name} names no callable`, {
    details: [["value", point.value]],
    hint: "a script's entry point is written package.module:function",
  });
}

const dottedName = /^[\p{ID_Start}_][\p{ID_Continue}]*(?:\.[\p{ID_Start}_][\p{ID_Continue}]*)*$/u;
