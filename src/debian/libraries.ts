import { machineOf, type Platform, tripletOf } from "../platform.ts";
import type { CachedLibrary } from "./ld-so-cache.ts";
import { byCodeUnit } from "../order.ts";

/** Folders that the loader looks into, in the order of Debian's ld.so.conf, as paths in the image: `usr/lib/x86_64-linux-gnu`. */
export function loaderFolders(platform: Platform): string[] {
  const triplet = tripletOf(platform);
  return ["usr/local/lib", `usr/local/lib/${triplet}`, `usr/lib/${triplet}`, "usr/lib"];
}

export interface LibraryFiles {
  elf: { path: string; facts: { machine: string; class: 32 | 64; type: string; soname?: string } }[];
  links: { path: string; target: string }[];
}

/**
 * What ldconfig would put into its cache: the libraries and links in the loader's folders that are named like one, by soname.
 * Paths are written as ldconfig does, through /lib where /lib is a link to /usr/lib.
 */
export function cacheLibraries(debs: LibraryFiles[], platform: Platform): CachedLibrary[] {
  const folders = loaderFolders(platform);
  const rank = new Map(folders.map((folder, index) => [folder, index]));
  const files = new Map(debs.flatMap((deb) => deb.elf.map((file) => [file.path, file.facts] as const)));
  const links = new Map(debs.flatMap((deb) => deb.links.map((link) => [link.path, link.target] as const)));
  const found = new Map<string, { library: CachedLibrary; rank: number }>();
  for (const path of [...files.keys(), ...links.keys()]) {
    const { folder, name } = split(path);
    const order = rank.get(folder);
    if (order === undefined || !/^(lib|ld-).*\.so/.test(name)) continue;
    const facts = files.get(follow(path, links));
    if (!facts || facts.machine !== machineOf(platform) || facts.class !== 64 || facts.type !== "dyn") continue;
    const isDevelopmentLink = links.has(path) && name.endsWith(".so");
    const soname = isDevelopmentLink ? name : (facts.soname ?? name);
    const library = { soname, path: `/${folder.replace(/^usr\/lib/, "lib")}/${soname}` };
    found.set(library.path, { library, rank: order });
  }
  return [...found.values()]
    .toSorted((a, b) => a.rank - b.rank || byCodeUnit(a.library.path, b.library.path))
    .map((entry) => entry.library);
}

/** The file that a chain of links ends at, forty at most as the kernel has it. */
function follow(path: string, links: ReadonlyMap<string, string>): string {
  let at = path;
  for (let hops = 0; hops < 40; hops++) {
    const target = links.get(at);
    if (target === undefined) return at;
    at = resolve(split(at).folder, target);
  }
  return at;
}

function resolve(folder: string, target: string): string {
  const parts = target.startsWith("/") ? [] : folder.split("/");
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const path = parts.join("/");
  return /^(lib|lib64|bin|sbin)\//.test(path) ? `usr/${path}` : path;
}

function split(path: string): { folder: string; name: string } {
  const slash = path.lastIndexOf("/");
  return { folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}
