import { SheafError } from "../errors.ts";
import type { DirectoryEntry, Entry, SymlinkEntry } from "../filesystem/entry.ts";
import { machineOf, type Platform } from "../platform.ts";
import { makeAccounts, type Accounts, type ImageUser } from "./accounts.ts";
import { alternativeLinks } from "./alternatives.ts";
import { appletLinks } from "./busybox.ts";
import type { DebEffect } from "./effects.ts";
import { type CachedLibrary, ldSoCache } from "./ld-so-cache.ts";
import { cacheLibraries, type LibraryFiles } from "./libraries.ts";
import { mergedPath } from "./unpack.ts";
import { byPath } from "../order.ts";

/**
 * Packages of a composed base, named as any suite knows them; their libraries come with the closure. libc-bin is one of them
 * for the C.UTF-8 locale, and for ldconfig, without which ctypes.util.find_library finds nothing.
 */
export function basePackages(options: { shell: boolean }): string[] {
  const names = [
    "base-files",
    "base-passwd",
    "ca-certificates",
    "libc-bin",
    "libc6",
    "libgcc-s1",
    "media-types",
    "netbase",
    "tini",
    "tzdata",
  ];
  return options.shell ? [...names, "busybox"].toSorted() : names;
}

/** Package → why it is taken without its dependencies. */
export const withoutDependencies: ReadonlyMap<string, string> = new Map([
  ["base-files", "its dependency on an awk serves its maintainer script"],
  ["base-passwd", "of it only the tables of users and groups are used, not the tool that merges them"],
  [
    "ca-certificates",
    "of it only the certificates are used; the bundle is put together at build time, without openssl",
  ],
  ["tzdata", "it depends on debconf to ask for the time zone"],
]);

/** Tools that only maintainer scripts use. None is run, so packages that depend on these get on without. */
export const toolsOfScripts: ReadonlySet<string> = new Set([
  "adduser",
  "cdebconf",
  "debconf",
  "debconf-2.0",
  "dpkg",
  "init-system-helpers",
  "install-info",
  "lsb-base",
  "passwd",
  "sysvinit-utils",
  "ucf",
]);

/** What systemEntries needs of an installed package; InstalledDeb and its record both have it. */
export interface InstalledFacts extends LibraryFiles {
  name: string;
  entries: { path: string; type: Entry["type"] }[];
  effects: DebEffect[];
}

export interface SystemOptions {
  /** In the order of installation: sorted by name. */
  debs: InstalledFacts[];
  user: ImageUser;
  platform: Platform;
  shell: boolean;
  /** Libraries of others than the packages, in the loader's folders: a copied interpreter's in usr/local/lib. */
  libraries?: CachedLibrary[];
  /** PEM texts for the bundle beside the distribution's: a company's own authorities. */
  extraCertificates?: string[];
}

/**
 * The files of a root that no package ships but that installing packages makes: links of the merged /usr, users and groups,
 * /etc/ld.so.cache, the CA bundle, alternatives, busybox's applets, /tmp and the like. Sorted by path; folders only where
 * their mode or owner matters, and those stand above what packages say of them. /etc/hosts, hostname and resolv.conf are the
 * runtime's.
 */
export function systemEntries(options: SystemOptions): Entry[] {
  const { debs, user, platform } = options;
  const effects = debs.flatMap((deb) => deb.effects);
  const taken = new Set(
    debs.flatMap((deb) => deb.entries.flatMap((entry) => (entry.type === "directory" ? [] : [entry.path]))),
  );
  const accounts = makeAccounts(effects, user, { root: rootShell(taken, options.shell), user: "/usr/sbin/nologin" });
  const libraries = [...(options.libraries ?? []), ...cacheLibraries(debs, platform)];
  const entries = new Map<string, Entry>();
  const add = (added: Entry[]) => {
    for (const entry of added) entries.set(entry.path, entry);
  };
  add(folders(user));
  add(scriptEntries(effects, accounts, taken));
  add([...mergedLinks(debs), symlink("var/run", "/run"), symlink("var/lock", "/run/lock")]);
  add(alternativeLinks(effects, taken));
  add([
    file("etc/passwd", accounts.passwd),
    file("etc/group", accounts.group),
    { ...file("etc/shadow", accounts.shadow), mode: 0o640, gid: accounts.gids.get("shadow") ?? 0 },
    file("etc/shells", shells(effects, taken, options.shell)),
    file("etc/ld.so.cache", ldSoCache(libraries, machineOf(platform))),
  ]);
  const isThere = (path: string) => taken.has(path) || entries.has(path);
  if (!isThere("etc/ld.so.conf")) add([file("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")]);
  if (!isThere("etc/nsswitch.conf")) add([file("etc/nsswitch.conf", nsswitch)]);
  add(certificateBundle(effects, options.extraCertificates ?? []));
  const drivers = effects.flatMap((effect) => (effect.kind === "odbc-driver" ? [effect.text.trim()] : []));
  if (drivers.length > 0) add([file("etc/odbcinst.ini", `${drivers.join("\n\n")}\n`)]);
  refuseDiversions(debs);
  if (taken.has("usr/bin/busybox") && options.shell) add(appletLinks(new Set([...taken, ...entries.keys()])));
  return [...entries.values()].toSorted(byPath);
}

function folders(user: ImageUser): DirectoryEntry[] {
  const own: DirectoryEntry[] =
    user.uid === 0 ? [] : [{ ...directory(`home/${user.name}`, 0o755), uid: user.uid, gid: user.gid }];
  return [
    ...["boot", "dev", "etc", "home", "media", "mnt", "opt", "proc", "run", "srv", "sys", "usr", "var"].map((path) =>
      directory(path, 0o755),
    ),
    directory("root", 0o700),
    directory("tmp", 0o1777),
    directory("var/tmp", 0o1777),
    directory("run/lock", 0o1777),
    ...own,
  ];
}

/** Folders, links and files that maintainer scripts make. What a package ships as a file is never replaced. */
function scriptEntries(effects: DebEffect[], accounts: Accounts, taken: ReadonlySet<string>): Entry[] {
  return effects.flatMap((effect): Entry[] => {
    if ("path" in effect && /^usr\/share\/(man|info)\//.test(effect.path)) return [];
    if (effect.kind === "directory") {
      const path = mergedPath(effect.path);
      if (taken.has(path) || /^(proc|sys|dev|run|tmp)(\/|$)/.test(path)) return [];
      const uid = accounts.uids.get(effect.owner ?? "root") ?? 0;
      const gid = accounts.gids.get(effect.group ?? "root") ?? 0;
      return [{ ...directory(path, effect.mode ?? 0o755), uid, gid }];
    }
    if (effect.kind === "symlink" && !taken.has(mergedPath(effect.path)))
      return [symlink(mergedPath(effect.path), effect.target)];
    if (effect.kind === "file" && !taken.has(mergedPath(effect.path)))
      return [{ ...file(mergedPath(effect.path), effect.text), mode: effect.mode }];
    return [];
  });
}

/** @throws SheafError SHEAF_DEB_SCRIPT when a package would move another one's file aside */
function refuseDiversions(debs: InstalledFacts[]): void {
  const diversions = debs.flatMap((deb) =>
    deb.effects.flatMap((effect) => (effect.kind === "diversion" ? [effect] : [])),
  );
  for (const { path, by } of diversions) {
    const owner = debs.find(
      (deb) => deb.name !== by && deb.entries.some((entry) => entry.path === path && entry.type !== "directory"),
    );
    if (!owner) continue;
    throw new SheafError("SHEAF_DEB_SCRIPT", `${by} moves /${path} of ${owner.name} aside, which Sheaf does not do`, {
      hint: `leave out ${by} or ${owner.name}, or take a base image that has both: --base`,
    });
  }
}

/** /bin → usr/bin and so on; lib64 only where a package has something in it (the loader of amd64). */
function mergedLinks(debs: InstalledFacts[]): SymlinkEntry[] {
  const used = (folder: string) =>
    debs.some((deb) => deb.entries.some(({ path }) => path.startsWith(`usr/${folder}/`)));
  return ["bin", "lib", "lib32", "lib64", "libx32", "sbin"]
    .filter((name) => ["bin", "lib", "sbin"].includes(name) || used(name))
    .map((name) => symlink(name, `usr/${name}`));
}

/**
 * The bundle that OpenSSL, curl and Python's ssl read: every certificate in the order of its path, as update-ca-certificates
 * writes it, then the extra ones. Links by hash (c_rehash) are not made: whoever reads the folder reads the bundle first.
 */
function certificateBundle(effects: DebEffect[], extra: string[]): Entry[] {
  const files = effects.flatMap((effect) => (effect.kind === "certificates" ? effect.files : []));
  const pems = [...files.toSorted(byPath).map((entry) => entry.pem), ...extra];
  if (pems.length === 0) return [];
  const text = pems.map((pem) => `${pem.trimEnd()}\n`).join("");
  return [file("etc/ssl/certs/ca-certificates.crt", text), symlink("etc/ssl/cert.pem", "certs/ca-certificates.crt")];
}

function shells(effects: DebEffect[], taken: ReadonlySet<string>, hasShell: boolean): string {
  const paths = effects.flatMap((effect) => (effect.kind === "shell" ? [effect.path] : []));
  for (const name of ["bash", "dash", "sh"]) if (taken.has(`usr/bin/${name}`)) paths.push(`/bin/${name}`);
  if (hasShell) paths.push("/bin/sh");
  return `# /etc/shells: valid login shells\n${[...new Set(paths)]
    .toSorted()
    .map((path) => `${path}\n`)
    .join("")}`;
}

function rootShell(taken: ReadonlySet<string>, hasShell: boolean): string {
  if (taken.has("usr/bin/bash")) return "/bin/bash";
  return hasShell || taken.has("usr/bin/dash") ? "/bin/sh" : "/usr/sbin/nologin";
}

const nsswitch = `passwd:         files
group:          files
shadow:         files
gshadow:        files

hosts:          files dns
networks:       files

protocols:      files
services:       files
ethers:         files
rpc:            files

netgroup:       files
`;

function file(path: string, content: string | Uint8Array): Extract<Entry, { type: "file" }> {
  return { type: "file", path, mode: 0o644, uid: 0, gid: 0, content: { kind: "bytes", bytes: Buffer.from(content) } };
}

function directory(path: string, mode: number): DirectoryEntry {
  return { type: "directory", path, mode, uid: 0, gid: 0 };
}

function symlink(path: string, target: string): SymlinkEntry {
  return { type: "symlink", path, target, mode: 0o777, uid: 0, gid: 0 };
}
