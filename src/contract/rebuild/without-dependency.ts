import { normalizeName } from "../../wheel/filename.ts";

/** A file of dependencies without one of them, or why it can't be changed. */
export type Removal = { text: string } | { refused: string };

type Remove = (text: string, name: string) => string;

/** How a dependency is taken out of each kind of file that names it, by the file's name. */
const formats: { file: RegExp; remove?: Remove; refused?: string }[] = [
  { file: /^(?:[\w.-]*requirements[\w.-]*|constraints[\w.-]*)\.(?:txt|in)$/i, remove: fromRequirements },
  { file: /^pyproject\.toml$/, remove: fromPyproject },
  { file: /^uv\.lock$/, remove: fromUvLock },
  { file: /^pylock(?:\.[^.]+)?\.toml$/, remove: fromPylock },
  { file: /^(?:poetry|pdm)\.lock$/, refused: "its hash of pyproject.toml is its tool's to write" },
  { file: /^Pipfile\.lock$/, refused: "its hash of the Pipfile is its tool's to write" },
];

/**
 * Takes a distribution out of a file of dependencies: lines of requirements files with their hashes, packages of uv.lock and
 * pylock.toml with those who refer to them, entries of pyproject.toml.
 * @returns undefined for files that don't name it
 */
export function withoutDependency(path: string, text: string, name: string): Removal | undefined {
  const base = path.slice(path.lastIndexOf("/") + 1);
  const isInFolder = /(?:^|\/)requirements\/[^/]+\.(?:txt|in)$/.test(path);
  const format = isInFolder ? formats[0] : formats.find(({ file }) => file.test(base));
  if (!format) return undefined;
  if (format.refused !== undefined) return names(text, name) ? { refused: `${path}: ${format.refused}` } : undefined;
  const changed = format.remove?.(text, name) ?? text;
  return changed === text ? undefined : { text: changed };
}

/** Whether a TOML or JSON lock has an entry of that name. */
function names(text: string, name: string): boolean {
  return [...text.matchAll(/^(?:name = |\s*)"([^"]+)"(?:\s*:|\s*$)/gm)].some(([, each = ""]) => isSame(each, name));
}

/** pip: a requirement is a line, which goes on behind a backslash. */
function fromRequirements(text: string, name: string): string {
  return text
    .split(/(?<=(?<!\\)\r?\n)/)
    .filter((line) => !isSame(/^\s*([A-Za-z0-9][\w.-]*)/.exec(line)?.[1] ?? "", name))
    .join("");
}

/** Entries of `dependencies`, of the extras' and of the groups' arrays, which are strings of PEP 508. */
function fromPyproject(text: string, name: string): string {
  const tables = text.split(/^(?=\[)/m);
  return tables
    .map((table) => {
      const header = /^\[\s*([\w.-]+)\s*\]/.exec(table)?.[1] ?? "";
      const keys = arraysOf[header];
      return keys ? table.replaceAll(keys, (array) => withoutEntries(array, name)) : table;
    })
    .join("");
}

/** From the key to the bracket that ends the array: strings may have brackets, as in `uvicorn[standard]`, and so may comments. */
const array = String.raw`\s*=\s*\[(?:"[^"\n]*"|'[^'\n]*'|#[^\n]*|[^\]"'#])*\]`;
const arraysOf: Record<string, RegExp | undefined> = {
  project: new RegExp(`^dependencies${array}`, "gm"),
  "project.optional-dependencies": new RegExp(String.raw`^[\w."-]+${array}`, "gm"),
  "dependency-groups": new RegExp(String.raw`^[\w."-]+${array}`, "gm"),
};

function withoutEntries(list: string, name: string): string {
  const entry = /[ \t]*(?:"([^"\n]*)"|'([^'\n]*)')[ \t]*(?:,[ \t]*(?:#[^\n]*)?\n?)?|#[^\n]*/g;
  return list.replaceAll(entry, (whole: string, double?: string, single?: string) => {
    const requirement = double ?? single;
    return requirement !== undefined && isSame(/^\s*([\w.-]+)/.exec(requirement)?.[1] ?? "", name) ? "" : whole;
  });
}

/** A `[[package]]` of its own, and `{ name = … }` in the lists of others. */
function fromUvLock(text: string, name: string): string {
  return withoutTables(text, { header: "[[package]]", name }).replaceAll(
    /[ \t]*\{ name = "([^"]+)"[^{}\n]*\}(?:,[ \t]*\n?|(?=\s*\]))/g,
    (whole: string, each: string) => (isSame(each, name) ? "" : whole),
  );
}

/** PEP 751. */
function fromPylock(text: string, name: string): string {
  return withoutTables(text, { header: "[[packages]]", name });
}

function withoutTables(text: string, { header, name }: { header: string; name: string }): string {
  const parts = text.split(new RegExp(`^(?=${header.replaceAll(/[[\]]/g, "\\$&")})`, "m"));
  return parts
    .filter((part) => !part.startsWith(header) || !isSame(/^name = "([^"]+)"/m.exec(part)?.[1] ?? "", name))
    .join("");
}

function isSame(written: string, name: string): boolean {
  return written !== "" && normalizeName(written) === name;
}
