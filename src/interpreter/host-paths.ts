/** Where an interpreter lies in the image. */
export const imagePrefix = "/usr/local";

const slash = 0x2f;

/**
 * Takes the host's folders out of text that CPython's build wrote (`_sysconfigdata…py`): the prefix becomes /usr/local,
 * the folder that it was compiled in /usr/src/python.
 */
export function mendBuildText(text: string, prefixes: readonly string[]): string {
  let result = text;
  for (const prefix of prefixes) result = replacePath(result, prefix, imagePrefix);
  for (const folder of buildFolders(text)) result = replacePath(result, folder, "/usr/src/python");
  return result;
}

/** The folders that CPython was compiled in; file names of assertions begin with them. */
export function buildFolders(sysconfigData: string): string[] {
  const folders = ["abs_builddir", "abs_srcdir"].map((name) =>
    new RegExp(`'${name}': '(/[^']+)'`).exec(sysconfigData)?.[1]?.replace(/\/+$/, ""),
  );
  return [...new Set(folders.filter((folder): folder is string => folder !== undefined && folder !== imagePrefix))];
}

/** The prefix that the sources were configured with, which differs from where they lie after a move. */
export function configuredPrefix(sysconfigData: string): string | undefined {
  return /'prefix': '(\/[^']+)'/.exec(sysconfigData)?.[1];
}

/**
 * Takes the host's folders out of a compiled file, in place. CPython keeps its configured prefix as a fallback that it
 * uses only where the standard library isn't beside the executable. Linkers let one string be the tail of another (the
 * version `3.12.1` is the end of `/home/me/versions/3.12.1`), so the last segment and the length stay as they are:
 * `/usr/local///////3.12.1`.
 *
 * @returns whether anything changed
 */
export function mendBinary(bytes: Uint8Array, prefixes: readonly string[]): boolean {
  let changed = false;
  for (const prefix of prefixes) {
    const parent = prefix.slice(0, prefix.lastIndexOf("/"));
    const replacement = [imagePrefix, "/usr", "/"].find((one) => one.length <= parent.length);
    if (prefix === imagePrefix || replacement === undefined) continue;
    const wanted = Buffer.from(prefix, "utf8");
    const parentLength = Buffer.byteLength(parent, "utf8");
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = view.indexOf(wanted); at >= 0; at = view.indexOf(wanted, at + wanted.length)) {
      if (!beginsPath(view, at) || !endsPath(view[at + wanted.length])) continue;
      view.fill(slash, at, at + parentLength);
      view.write(replacement, at, "latin1");
      changed = true;
    }
  }
  return changed;
}

/** Not the end of a longer path, such as `/usr/bin/install` for `/install`; `-I` and `-L` may stand before one, and so may the dot of `./home`. */
const pathStart = "(?<![a-z0-9_]|(?<!-)[A-Z])";

function beginsPath(view: Buffer, at: number): boolean {
  const before = view.toString("latin1", Math.max(0, at - 2), at);
  return new RegExp(`${pathStart}$`).test(before);
}

/** NUL, `/`, `:` and the like: what may follow a whole path. */
function endsPath(byte: number | undefined): boolean {
  return byte === undefined || byte === 0 || byte === slash || !/[\w.+-]/.test(String.fromCharCode(byte));
}

function replacePath(text: string, from: string, to: string): string {
  if (from === to || from.length < 2) return text;
  const literal = from.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return text.replaceAll(new RegExp(`${pathStart}${literal}(?![\\w.+-])`, "g"), () => to);
}
