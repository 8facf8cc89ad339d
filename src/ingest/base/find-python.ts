import { type Paragraph } from "../../debian/control.ts";
import type { PythonLayout } from "../../filesystem/layout.ts";
import type { RootTree } from "../../filesystem/root-tree.ts";
import { normalizeName } from "../../wheel/filename.ts";

import type { BaseDistribution, BasePython } from "./facts.ts";
import type { ReadNode } from "./read-layers.ts";
import { byCodeUnit } from "../../order.ts";

export interface PythonSearch {
  tree: RootTree;
  /** With what was read of its content. */
  node: (path: string) => ReadNode | undefined;
  /** PATH of the image, folders without a leading slash. */
  path: string[];
  /** PYTHON_VERSION of the image's environment, which the official images set. */
  told?: string;
  /** dpkg's packages by name. */
  packages: ReadonlyMap<string, Paragraph>;
}

/**
 * The interpreter of a base image: `python3.N` in /usr/local/bin, then in the folders of PATH, then in /usr/bin, with its
 * standard library beside it. Virtual environments are passed over for the interpreter behind them.
 */
export function findPython(search: PythonSearch): BasePython | undefined {
  for (const folder of new Set(["usr/local/bin", ...search.path, "usr/bin"])) {
    if (search.tree.get(`${parentOf(folder)}/pyvenv.cfg`)) continue;
    // Where there are several, python3 says which one is meant.
    const meant = /python(3\.\d+)$/.exec(search.tree.resolve(`${folder}/python3`))?.[1];
    for (const minor of new Set([...(meant === undefined ? [] : [meant]), ...minors])) {
      const found = pythonAt(search, folder, minor);
      if (found) return found;
    }
  }
  return undefined;
}

const minors = Array.from({ length: 12 }, (_, index) => `3.${19 - index}`);

function pythonAt(search: PythonSearch, folder: string, minor: string): BasePython | undefined {
  const { tree } = search;
  const executable = `${folder}/python${minor}`;
  const real = tree.resolve(executable);
  const node = tree.get(real);
  if (node?.type !== "file" || (node.mode & 0o111) === 0) return undefined;
  const prefix = parentOf(parentOf(real));
  const stdlib = `${prefix}/lib/python${minor}`;
  if (!tree.find(`${stdlib}/os.py`) && !tree.find(`${stdlib}/os.pyc`)) return undefined;
  const version = fullVersion(search, { minor, prefix, real });
  const layout = layoutOf(search, { minor, prefix, executable: `/${executable}` });
  return { version, minor, layout, modules: modulesIn(tree, [...siteFolders(layout)]) };
}

interface Place {
  minor: string;
  /** Without a leading slash. */
  prefix: string;
}

function fullVersion(
  { node, told, packages, tree }: PythonSearch,
  { minor, prefix, real }: Place & { real: string },
): string {
  const header = node(tree.resolve(`${prefix}/include/python${minor}/patchlevel.h`))?.text;
  const written = /#define\s+PY_VERSION\s+"([^"+]+)\+?"/.exec(header ?? "")?.[1];
  if (written) return written;
  const library = [`${prefix}/lib/libpython${minor}.so.1.0`, `usr/lib/libpython${minor}.so.1.0`];
  const inside = [real, ...library.map((path) => tree.resolve(path))].map((path) => node(path)?.python);
  const found = inside.find((version) => version !== undefined);
  if (found) return found;
  const packaged = /^(?:\d+:)?(3\.\d+\.\d+)/.exec(packages.get(`python${minor}-minimal`)?.get("Version") ?? "")?.[1];
  if (packaged) return packaged;
  // Nothing but the library's own text tells: the first release is what everything of this minor works with.
  return told?.startsWith(`${minor}.`) ? told : `${minor}.0`;
}

/** Debian's own interpreter takes what is installed beside it from /usr/local. */
function layoutOf(
  { tree, packages }: PythonSearch,
  { minor, prefix, executable }: Place & { executable: string },
): PythonLayout {
  const isDebians =
    prefix === "usr" && (packages.has(`python${minor}-minimal`) || tree.find("usr/lib/python3/dist-packages"));
  const local = `usr/local/lib/python${minor}/dist-packages`;
  const own = `${prefix}/lib/python${minor}/site-packages`;
  const own64 = `${prefix}/lib64/python${minor}/site-packages`;
  const places = isDebians
    ? { purelib: local, platlib: local }
    : { purelib: own, platlib: tree.find(own64)?.type === "directory" ? own64 : own };
  const installs = prefix === "usr" ? "usr/local" : prefix;
  return {
    executable,
    purelib: tree.resolve(places.purelib),
    platlib: tree.resolve(places.platlib),
    scripts: tree.resolve(`${installs}/bin`),
    data: tree.resolve(installs),
    include: tree.resolve(`${prefix}/include/python${minor}`),
    stdlib: tree.resolve(`${prefix}/lib/python${minor}`),
    cacheTag: `cpython-${minor.replace(".", "")}`,
  };
}

function siteFolders({ purelib, platlib }: PythonLayout): Set<string> {
  const shared = purelib.endsWith("/dist-packages") ? ["usr/lib/python3/dist-packages"] : [];
  return new Set([purelib, platlib, ...shared]);
}

function modulesIn(tree: RootTree, folders: string[]): string[] {
  const names = new Set<string>();
  for (const path of tree.paths()) {
    const folder = folders.find((each) => path.startsWith(`${each}/`));
    const [first = "", second] = folder === undefined ? [] : path.slice(folder.length + 1).split("/");
    const name =
      second === undefined ? /^(\w+)(?:\.[\w-]+)*\.(?:py|so)$/.exec(first)?.[1] : /^[a-zA-Z_]\w*$/.exec(first)?.[0];
    if (name !== undefined && name !== "__pycache__") names.add(name);
  }
  return [...names].toSorted();
}

/** What pip has put into the base's own site-packages: its dist-info folders and the files that their RECORDs list. */
export function findDistributions(
  { layout }: BasePython,
  { tree, node }: Pick<PythonSearch, "tree" | "node">,
): BaseDistribution[] {
  // A RECORD tells of what pip may write; what it says of the rest of the image is not followed.
  const places = [layout.data, parentOf(parentOf(layout.stdlib))];
  const found: BaseDistribution[] = [];
  for (const path of tree.paths()) {
    const [, folder = "", info = "", name = "", version = ""] =
      /^(.+)\/(([^/]+)-([^/-]+)\.dist-info)\/RECORD$/.exec(path) ?? [];
    if (folder !== layout.purelib && folder !== layout.platlib) continue;
    const files = recordPaths(node(path)?.text ?? "", folder).filter(
      (file) => places.some((place) => file.startsWith(`${place}/`)) && tree.get(file),
    );
    found.push({ name: normalizeName(name), version, files, info: `${folder}/${info}` });
  }
  return found.toSorted((a, b) => byCodeUnit(a.info, b.info));
}

function recordPaths(text: string, folder: string): string[] {
  return text.split("\n").flatMap((line) => {
    const written = line.startsWith('"')
      ? /^"((?:[^"]|"")*)"/.exec(line)?.[1]?.replaceAll('""', '"')
      : line.split(",")[0];
    if (!written) return [];
    const segments = written.startsWith("/") ? [] : folder.split("/");
    for (const segment of written.trim().split("/")) {
      if (segment === "..") segments.pop();
      else if (segment !== "" && segment !== ".") segments.push(segment);
    }
    return [segments.join("/")];
  });
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
