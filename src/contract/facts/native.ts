import { closeLibraries, type Closure, type ElfObject } from "../../elf/closure.ts";
import { byPath } from "../../order.ts";
import { machineOf, tripletOf } from "../../platform.ts";
import type { ImageFacts } from "./image-facts.ts";

export interface NativeQuestion {
  architecture: string;
  /** LD_LIBRARY_PATH */
  libraryPath?: string;
}

/** Every ELF file that the image shows, sorted by path. */
export function elfObjects(facts: ImageFacts): ElfObject[] {
  return [...facts.files.values()].flatMap(({ path, elf }) => (elf ? [{ path, facts: elf }] : [])).toSorted(byPath);
}

/** Looks every needed library up as ld.so would in the image; undefined for architectures that Sheaf doesn't know. */
export function nativeClosure(facts: ImageFacts, { architecture, libraryPath }: NativeQuestion): Closure | undefined {
  if (architecture !== "amd64" && architecture !== "arm64") return undefined;
  const platform = { os: "linux", architecture } as const;
  const links = [...facts.files.values()].flatMap(({ path, type, target = "" }) =>
    type === "symlink" ? [{ path, target }] : [],
  );
  return closeLibraries({
    objects: facts.derived(elfObjects),
    links,
    machine: machineOf(platform),
    searchPath: searchPath(facts, tripletOf(platform), libraryPath),
  });
}

/** Folders that ld.so looks into: LD_LIBRARY_PATH, what ld.so.conf names, its own defaults. */
function searchPath(facts: ImageFacts, triplet: string, libraryPath = ""): string[] {
  const parts = [...facts.files.keys()].filter((path) => /^etc\/ld\.so\.conf\.d\/[^/]+\.conf$/.test(path)).toSorted();
  const configured = ["etc/ld.so.conf", ...parts].flatMap((path) =>
    (facts.text(path) ?? "").split("\n").map((line) => line.replace(/#.*/, "").trim()),
  );
  const told = [...libraryPath.split(":"), ...configured].filter((folder) => folder.startsWith("/"));
  const defaults = [`lib/${triplet}`, `usr/lib/${triplet}`, "lib64", "usr/lib64", "lib", "usr/lib"];
  return [...new Set([...told.map((folder) => folder.slice(1).replace(/\/+$/, "")), "usr/local/lib", ...defaults])];
}
