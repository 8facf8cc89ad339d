import { parseControl, type Paragraph } from "../../debian/control.ts";
import { type DebPackage, readPackage } from "../../debian/package.ts";
import { readLdSoCache } from "../../debian/ld-so-cache.ts";
import { RootTree } from "../../filesystem/root-tree.ts";
import type { Image } from "../../oci/image.ts";
import { machineOf, tripletOf, type Platform } from "../../platform.ts";
import { type BaseFacts, type BaseFiles, type BaseOs, lookedFor, packNodes } from "./facts.ts";
import { findDistributions, findPython } from "./find-python.ts";
import type { ReadLayers, ReadNode } from "./read-layers.ts";
import { byPath } from "../../order.ts";

/** What the layers come to: facts for every run, and the lists that only work on the image needs. */
export function describeBase(
  image: Image,
  { merged, layers, sources }: ReadLayers,
  platform: Platform,
): { facts: BaseFacts; files: BaseFiles } {
  const nodes = new Map(merged.entries());
  const tree = new RootTree(nodes);
  const node = (path: string) => nodes.get(path);
  const text = (path: string) => node(tree.resolve(path))?.text;
  const config = image.config.config ?? {};
  const env = new Map((config.Env ?? []).map((each) => [each.split("=")[0] ?? "", each.slice(each.indexOf("=") + 1)]));
  const path = searchedFolders(env.get("PATH"), tree);
  const stanzas = dpkgStanzas(nodes);
  const told = env.get("PYTHON_VERSION");
  const python = findPython({ tree, node, path, packages: stanzas, ...(told === undefined ? {} : { told }) });
  const elf = [...nodes].flatMap(([at, { elf: facts }]) => (facts ? [{ path: at, facts }] : []));
  const libc = libcOf(tree, elf);
  const shadow = text("etc/shadow");
  const stdlib = python && `${python.layout.stdlib}/`;
  const facts: BaseFacts = {
    digest: image.digest,
    layers,
    config,
    history: image.config.history ?? [],
    os: osRelease(text("etc/os-release") ?? text("usr/lib/os-release") ?? ""),
    ...libc,
    ...(python ? { python } : {}),
    programs: findPrograms(tree, path),
    ...(python && sources ? { sources } : {}),
  };
  const files: BaseFiles = {
    nodes: packNodes(nodes),
    elf: elf.toSorted(byPath),
    packages: [...stanzas.values()].map(installedPackage),
    distributions: python ? findDistributions(python, { tree, node }) : [],
    sources: Object.fromEntries(
      [...nodes].flatMap(([at, { source }]) => (source && stdlib && at.startsWith(stdlib) ? [[at, source]] : [])),
    ),
    passwd: text("etc/passwd") ?? "",
    group: text("etc/group") ?? "",
    ...(shadow === undefined ? {} : { shadow }),
    cache: readLdSoCache(Buffer.from(text("etc/ld.so.cache") ?? "", "latin1"), machineOf(platform)),
    searchPath: loaderFolders({ text, nodes, platform, library: env.get("LD_LIBRARY_PATH") }),
  };
  return { facts, files };
}

function searchedFolders(path: string | undefined, tree: RootTree): string[] {
  const told = (path ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").split(":");
  return told.filter((folder) => folder.startsWith("/")).map((folder) => tree.resolve(folder.slice(1)));
}

function findPrograms(tree: RootTree, path: string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of lookedFor) {
    for (const folder of ["usr/local/bin", ...path, "usr/bin", "usr/sbin"]) {
      const node = tree.find(`${folder}/${name}`);
      if (node?.type !== "file" || (node.mode & 0o111) === 0) continue;
      found[name] = `/${folder}/${name}`;
      break;
    }
  }
  return found;
}

/** The C library by its loader, and its version by the symbols that it defines. */
function libcOf(tree: RootTree, elf: BaseFiles["elf"]): Pick<BaseFacts, "libc" | "glibc"> {
  const library = elf.find(({ path, facts }) => facts.soname === "libc.so.6" && path.includes("lib"));
  const minor = (library?.facts.versionsDefined ?? [])
    .map((name) => Number(/^GLIBC_2\.(\d+)(?:\.\d+)?$/.exec(name)?.[1] ?? -1))
    .reduce((a, b) => Math.max(a, b), -1);
  if (minor >= 0) return { libc: "glibc", glibc: [2, minor] };
  const hasMusl = ["x86_64", "aarch64"].some((machine) => tree.find(`lib/ld-musl-${machine}.so.1`));
  return { libc: hasMusl ? "musl" : "none" };
}

function osRelease(text: string): BaseOs {
  const field = (name: string) => new RegExp(`^${name}=["']?([^"'\\n]*)["']?\\s*$`, "m").exec(text)?.[1];
  const codename = field("VERSION_CODENAME");
  const id = field("ID") ?? "";
  return { id, name: field("PRETTY_NAME") ?? (id || "an unknown distribution"), ...(codename ? { codename } : {}) };
}

/** Installed packages of dpkg's one file, or of the folder that images without dpkg have. */
function dpkgStanzas(nodes: ReadonlyMap<string, ReadNode>): Map<string, Paragraph> {
  const stanzas = new Map<string, Paragraph>();
  for (const [path, { text }] of nodes) {
    if (text === undefined || !path.startsWith("var/lib/dpkg/status")) continue;
    for (const stanza of parseControl(Buffer.from(text, "latin1").toString("utf8"))) {
      const name = stanza.get("Package");
      // Images without dpkg leave the status out.
      if (name && (stanza.get("Status") ?? "install ok installed").endsWith(" installed")) stanzas.set(name, stanza);
    }
  }
  return stanzas;
}

function installedPackage(stanza: Paragraph): DebPackage {
  return { ...readPackage(stanza, ""), url: "", filename: "" };
}

interface LoaderQuestion {
  text: (path: string) => string | undefined;
  nodes: ReadonlyMap<string, ReadNode>;
  platform: Platform;
  /** LD_LIBRARY_PATH */
  library: string | undefined;
}

/** Folders that ld.so looks into: LD_LIBRARY_PATH, what ld.so.conf names, its own defaults. */
function loaderFolders({ text, nodes, platform, library }: LoaderQuestion): string[] {
  const parts = [...nodes.keys()].filter((path) => /^etc\/ld\.so\.conf\.d\/[^/]+\.conf$/.test(path)).toSorted();
  const configured = ["etc/ld.so.conf", ...parts].flatMap((path) =>
    (text(path) ?? "").split("\n").map((line) => line.replace(/#.*/, "").trim()),
  );
  const told = [...(library ?? "").split(":"), ...configured].filter((folder) => folder.startsWith("/"));
  const triplet = tripletOf(platform);
  const defaults = [`lib/${triplet}`, `usr/lib/${triplet}`, "lib64", "usr/lib64", "lib", "usr/lib"];
  return [...new Set([...told.map((folder) => folder.slice(1).replace(/\/+$/, "")), "usr/local/lib", ...defaults])];
}
