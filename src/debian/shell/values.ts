/** A string, or undefined for one that only running the script would tell. */
export type Value = string | undefined;

/** Whether a command succeeds; undefined when that is not known. */
export type Status = boolean | undefined;

export function joined(values: Value[]): Value {
  return values.includes(undefined) ? undefined : values.join("");
}

export function append(before: Value, value: Value): Value {
  return before === undefined || value === undefined ? undefined : before + value;
}

export function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

export function globSource(glob: string): string {
  return escape(glob).replace(/\\\*/g, "[^]*").replace(/\\\?/g, "[^]");
}

/** `${name%pattern}` and its like, for patterns of plain text and `*`. */
export function trim(value: Value, operator: string, pattern: Value): Value {
  if (value === undefined || pattern === undefined || !/^(#|##|%|%%)$/.test(operator)) return undefined;
  const source = globSource(pattern);
  const lengths = Array.from({ length: value.length + 1 }, (_, length) => length);
  const isPrefix = operator.startsWith("#");
  const part = (length: number) => (isPrefix ? value.slice(0, length) : value.slice(value.length - length));
  const order = operator.length === 2 ? lengths.toReversed() : lengths;
  const found = order.find((length) => new RegExp(`^(?:${source})$`).test(part(length)));
  if (found === undefined) return value;
  return isPrefix ? value.slice(found) : value.slice(0, value.length - found);
}
