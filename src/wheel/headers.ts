/** Header fields by lower-case name, each with its values in order, and the text after the first blank line. */
export interface HeaderBlock {
  headers: Map<string, string[]>;
  body: string;
}

/**
 * Parses the e-mail format of METADATA and WHEEL as Python's `email.parser` does: folded lines belong to the field
 * before them, the first line that is no field begins the body. UTF-8, or Latin-1 where the bytes are not UTF-8.
 */
export function parseHeaders(bytes: Uint8Array): HeaderBlock {
  const lines = decode(bytes).split(/\r\n|\n|\r/);
  const headers = new Map<string, string[]>();
  let values: string[] | undefined;
  let index = 0;
  for (; index < lines.length; index++) {
    const line = lines[index] ?? "";
    if (values && /^[ \t]/.test(line)) {
      values.push(`${values.pop() ?? ""} ${line.trim()}`.trim());
      continue;
    }
    const field = /^([!-9;-~]+)[ \t]*:(.*)$/.exec(line);
    if (!field) break;
    const name = (field[1] ?? "").toLowerCase();
    values = headers.get(name) ?? [];
    values.push((field[2] ?? "").trim());
    headers.set(name, values);
  }
  const start = lines[index] === "" ? index + 1 : index;
  return { headers, body: lines.slice(start).join("\n") };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}
