import { makeAccounts } from "../debian/accounts.ts";
import { systemEntries, type SystemOptions } from "../debian/base.ts";
import type { DebEffect } from "../debian/effects.ts";
import { type CachedLibrary, ldSoCache } from "../debian/ld-so-cache.ts";
import { cacheLibraries } from "../debian/libraries.ts";
import type { Entry } from "../filesystem/entry.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import { machineOf } from "../platform.ts";
import { byPath } from "../order.ts";

/**
 * What a base image lacks beside files of packages: the image's user, what the added packages' scripts would make, and the
 * loader's cache when libraries were added. All else of the base stays as it is.
 */
export function entriesOver(base: BaseImage, options: SystemOptions): Entry[] {
  const { tree } = base;
  const entries = [
    ...accountEntries(base, options),
    ...scriptEffects(base, options).filter(({ path }) => !tree.find(path)),
    ...cacheEntries(base, options),
  ].map((entry) => ({ ...entry, path: tree.place(entry.path) }));
  return entries.toSorted(byPath);
}

/** The base's tables with the rows that are missing at their end. */
function accountEntries({ files, tree }: BaseImage, { debs, user }: SystemOptions): Entry[] {
  const effects = [...tablesOf(files), ...debs.flatMap((deb) => deb.effects)];
  const all = makeAccounts(effects, user, { root: "/bin/sh", user: "/usr/sbin/nologin" });
  const isThere = idsByName(files.passwd);
  const tables: Table[] = [
    { path: "etc/passwd", text: files.passwd, rows: rowsBeside(all.passwd, isThere), mode: 0o644 },
    { path: "etc/group", text: files.group, rows: rowsBeside(all.group, idsByName(files.group)), mode: 0o644 },
    ...(files.shadow === undefined
      ? []
      : [{ path: "etc/shadow", text: files.shadow, rows: rowsBeside(all.shadow, isThere), mode: 0o640 }]),
  ];
  const home = `home/${user.name}`;
  const isHomeMissing = user.uid !== 0 && !tree.find(home);
  return [
    ...tables
      .filter(({ rows }) => rows !== "")
      .map(({ path, text, rows, mode }): Entry => {
        const { mode: asItWas, uid, gid } = tree.find(path) ?? { mode, uid: 0, gid: 0 };
        const bytes = Buffer.from(`${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${rows}`, "latin1");
        return { type: "file", path: tree.resolve(path), mode: asItWas, uid, gid, content: { kind: "bytes", bytes } };
      }),
    ...(isHomeMissing ? [{ type: "directory", path: home, mode: 0o755, uid: user.uid, gid: user.gid } as const] : []),
  ];
}

interface Table {
  path: string;
  text: string;
  /** What is added. */
  rows: string;
  /** When the base has no such table. */
  mode: number;
}

/** The base's accounts in the place of those that a distribution begins with. */
function tablesOf({ passwd, group }: { passwd: string; group: string }): DebEffect[] {
  return passwd === "" ? [] : [{ kind: "accounts", passwd, group }];
}

function rowsBeside(table: string, there: ReadonlyMap<string, unknown>): string {
  const rows = table.split("\n").filter((row) => row !== "" && !there.has(row.slice(0, row.indexOf(":"))));
  return rows.map((row) => `${row}\n`).join("");
}

/** Names of passwd(5) or group(5) with their ids. */
export function idsByName(table: string): Map<string, number> {
  const rows = table.split("\n").map((line) => line.split(":"));
  return new Map(rows.flatMap(([name, , id]) => (name && id && /^\d+$/.test(id) ? [[name, Number(id)] as const] : [])));
}

/** Entries that are there because of what the packages' scripts do, not because every image has them. */
function scriptEffects({ files }: BaseImage, given: SystemOptions): Entry[] {
  const tables = { name: "", entries: [], elf: [], links: [], effects: tablesOf(files) };
  const options = { ...given, debs: [tables, ...given.debs] };
  const without = { ...options, debs: given.debs.map((deb) => ({ ...deb, effects: [] })) };
  const always = new Set([...systemEntries(without).map(({ path }) => path), "etc/shells", "etc/passwd", "etc/group"]);
  return systemEntries(options).filter(({ path }) => !always.has(path));
}

/** The base's cache with the libraries that were added before it, made only when there are any. */
function cacheEntries({ files, tree }: BaseImage, { debs, platform, libraries = [] }: SystemOptions): Entry[] {
  const isMerged = tree.resolve("lib") === "usr/lib";
  const added = [...libraries, ...cacheLibraries(debs, platform)].map(({ soname, path }): CachedLibrary => ({
    soname,
    path: isMerged || path.startsWith("/usr/") ? path : `/usr${path}`,
  }));
  if (added.length === 0) return [];
  const paths = new Set(added.map(({ path }) => path));
  const all = [...added, ...files.cache.filter(({ path }) => !paths.has(path))];
  const bytes = ldSoCache(all, machineOf(platform));
  return [{ type: "file", path: "etc/ld.so.cache", mode: 0o644, uid: 0, gid: 0, content: { kind: "bytes", bytes } }];
}
