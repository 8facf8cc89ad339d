import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { closeLibraries } from "../../src/elf/closure.ts";
import type { Closure, ClosureInput } from "../../src/elf/closure.ts";
import { elfFacts } from "../../src/elf/facts.ts";
import { isElf } from "../../src/elf/read.ts";
import { LinkedPaths } from "../../src/elf/linked-paths.ts";
import { buildElf } from "./build-elf.ts";
import type { ElfSpec } from "./build-elf.ts";
import { has } from "./oracles.ts";

const lib = "usr/lib/x86_64-linux-gnu";
const site = "usr/local/lib/python3.12/site-packages";

describe("closeLibraries", () => {
  it("names what is missing and everyone who needs it", () => {
    const closure = close({
      [`${site}/cv2/cv2.abi3.so`]: { needed: ["libGL.so.1", "libc.so.6"] },
      [`${site}/qt/qt.so`]: { needed: ["libGL.so.1"] },
      [`${lib}/libc.so.6`]: { soname: "libc.so.6" },
    });
    expect(closure.missing).toEqual([
      { soname: "libGL.so.1", neededBy: [`${site}/cv2/cv2.abi3.so`, `${site}/qt/qt.so`] },
    ]);
  });

  it("finds libraries through links of files and of folders, as after the usrmerge", () => {
    const objects = { "usr/bin/run": { needed: ["libz.so.1"] }, [`${lib}/libz.so.1.3.1`]: { soname: "libz.so.1" } };
    const links = [
      { path: "lib", target: "usr/lib" },
      { path: `${lib}/libz.so.1`, target: "libz.so.1.3.1" },
    ];
    expect(close(objects, { links, searchPath: ["lib/x86_64-linux-gnu"] }).missing).toEqual([]);
    expect(close(objects, { links: [], searchPath: [lib] }).missing.map(({ soname }) => soname)).toEqual(["libz.so.1"]);
  });

  it("does not search folders that ld.so does not", () => {
    const closure = close({ "usr/bin/run": { needed: ["libx.so"] }, "opt/lib/libx.so": {} });
    expect(closure.missing).toEqual([{ soname: "libx.so", neededBy: ["usr/bin/run"] }]);
  });

  it.each([
    ["RUNPATH with $ORIGIN", { runpath: "$ORIGIN/../demo.libs" }],
    ["RPATH with ${ORIGIN}", { rpath: "${ORIGIN}/../demo.libs" }],
    ["an absolute RUNPATH", { runpath: `/nowhere:/${site}/demo.libs` }],
  ])("follows %s, as auditwheel writes it", (_, paths) => {
    const closure = close({
      [`${site}/demo/x.so`]: { needed: ["libz-1a2b.so.1"], ...paths },
      [`${site}/demo.libs/libz-1a2b.so.1`]: { soname: "libz-1a2b.so.1" },
    });
    expect(closure).toMatchObject({ missing: [], preloaded: [] });
  });

  it("takes ORIGIN from the file behind a link", () => {
    const closure = close(
      { "opt/app/bin/run": { needed: ["libx.so"], runpath: "$ORIGIN/../lib" }, "opt/app/lib/libx.so": {} },
      { links: [{ path: "usr/bin/run", target: "../../opt/app/bin/run" }] },
    );
    expect(closure.missing).toEqual([]);
  });

  it("lets the RPATH of a program serve its libraries, its RUNPATH not", () => {
    const libraries = { "opt/lib/liba.so": { needed: ["libb.so"] }, "opt/lib/libb.so": {} };
    const byRpath = { needed: ["liba.so"], rpath: "/opt/lib" };
    const byRunpath = { needed: ["liba.so"], runpath: "/opt/lib" };
    expect(close({ ...libraries, "opt/bin/run": byRpath }).missing).toEqual([]);
    expect(close({ ...libraries, "opt/bin/run": byRunpath }).missing).toEqual([
      { soname: "libb.so", neededBy: ["opt/lib/liba.so"] },
    ]);
  });

  it("knows that Python has loaded its own libraries before any extension module", () => {
    const python = { needed: ["libpython3.12.so.1.0"], interpreter: "/lib64/ld.so", runpath: "$ORIGIN/../lib" };
    const objects = {
      "opt/python/lib/libpython3.12.so.1.0": {},
      "lib64/ld.so": {},
      [`${site}/demo/x.so`]: { needed: ["libpython3.12.so.1.0"] },
    };
    expect(close({ ...objects, "opt/python/bin/python3.12": python }).missing).toEqual([]);
    expect(close({ ...objects, "opt/python/bin/other": python }).missing).toEqual([
      { soname: "libpython3.12.so.1.0", neededBy: [`${site}/demo/x.so`] },
    ]);
  });

  it("ignores the RPATH of a file that has a RUNPATH", () => {
    const closure = close({
      "opt/bin/run": { needed: ["liba.so"], rpath: "/opt/lib", runpath: "/opt/other" },
      "opt/lib/liba.so": {},
    });
    expect(closure.missing.map(({ soname }) => soname)).toEqual(["liba.so"]);
  });

  it("counts what is loaded already, at any depth", () => {
    const closure = close({
      "opt/bin/run": { needed: ["liba.so", "libb.so"], runpath: "$ORIGIN/../lib" },
      "opt/lib/liba.so": { needed: ["libdeep.so"], runpath: "$ORIGIN/deep" },
      "opt/lib/deep/libdeep.so": {},
      "opt/lib/libb.so": { needed: ["liba.so", "libdeep.so"] },
    });
    expect(closure.missing).toEqual([]);
  });

  // Edge case 32: torch loads nvidia/*/lib by path before anything needs it.
  it("takes a library elsewhere in the same site-packages as preloaded, and says so", () => {
    const objects = {
      [`${site}/torch/lib/libtorch_cuda.so`]: { needed: ["libcudnn.so.8", "libcuda.so.1"], runpath: "$ORIGIN" },
      [`${site}/nvidia/cudnn/lib/libcudnn.so.8`]: { soname: "libcudnn.so.8" },
    };
    expect(close(objects)).toMatchObject({
      missing: [],
      preloaded: [
        {
          soname: "libcudnn.so.8",
          provider: `${site}/nvidia/cudnn/lib/libcudnn.so.8`,
          neededBy: [`${site}/torch/lib/libtorch_cuda.so`],
        },
      ],
    });
  });

  it.each(["libcuda.so.1", "libnvidia-ml.so.1", "libnvcuvid.so.1"])("never misses the driver's %s", (soname) => {
    expect(close({ "usr/lib/x.so": { needed: [soname] } }).missing).toEqual([]);
  });

  it("misses what only looks like the driver's", () => {
    expect(close({ "usr/lib/x.so": { needed: ["libcudart.so.12"] } }).missing).toHaveLength(1);
  });

  // Edge case 31: a musl wheel in a glibc image.
  it("misses an interpreter that is not there", () => {
    const closure = close({ "usr/bin/run": { type: "exec", interpreter: "/lib/ld-musl-x86_64.so.1" } });
    expect(closure.missing).toEqual([{ soname: "ld-musl-x86_64.so.1", neededBy: ["usr/bin/run"] }]);
  });

  it("passes over libraries of other machines and lists them", () => {
    const closure = close({
      "usr/bin/run": { needed: ["libz.so.1"], runpath: "/opt/arm:/opt/right" },
      "opt/arm/libz.so.1": { machine: 183 },
      "opt/right/libz.so.1": {},
      "usr/bin/narrow": { class: 32, machine: 3, needed: ["absent.so"] },
      "usr/lib/crt1.o": { type: "rel", machine: 183 },
    });
    expect(closure.missing).toEqual([]);
    expect(closure.wrongMachine).toEqual(["opt/arm/libz.so.1", "usr/bin/narrow"]);
  });

  it("finds the newest glibc that is asked for, by number, glibc's own files aside", () => {
    const closure = close({
      "a.so": needs("GLIBC_2.4", "GLIBC_2.17"),
      "b.so": needs("GLIBC_2.9", "GLIBC_2.28"),
      [`${lib}/libm.so.6`]: needs("GLIBC_2.36", "GLIBC_PRIVATE"),
    });
    expect(closure.glibcRequired).toEqual({ version: "2.28", path: "b.so" });
    expect(close({ "a.so": {} }).glibcRequired).toBeUndefined();
  });

  it("reports symbol versions that the library found does not define", () => {
    const user = {
      needed: ["libc.so.6"],
      versionsNeeded: [{ file: "libc.so.6", versions: ["GLIBC_2.17", "GLIBC_2.38"] }],
    };
    const closure = close({
      "x.so": user,
      [`${lib}/libc.so.6`]: { soname: "libc.so.6", versionsDefined: ["libc.so.6", "GLIBC_2.17", "GLIBC_2.36"] },
    });
    expect(closure.versionProblems).toEqual([{ path: "x.so", library: "libc.so.6", version: "GLIBC_2.38" }]);
    const unversioned = close({ "x.so": user, [`${lib}/libc.so.6`]: { soname: "libc.so.6" } });
    expect(unversioned.versionProblems).toEqual([]);
  });

  it("ends on loops of links and of libraries", () => {
    const closure = close(
      { "a/liba.so": { needed: ["libb.so"], rpath: "$ORIGIN" }, "a/libb.so": { needed: ["liba.so", "libc.so.6"] } },
      {
        links: [
          { path: "usr/lib", target: "lib2" },
          { path: "usr/lib2", target: "lib" },
        ],
      },
    );
    expect(closure.missing).toEqual([{ soname: "libc.so.6", neededBy: ["a/libb.so"] }]);
  });

  it.skipIf(!has("ldd") || process.platform !== "linux")(
    "finds on this machine what ldd finds (skipped without ldd)",
    () => {
      const folders = ldconfigFolders();
      const programs = [
        "/usr/bin/python3",
        "/usr/bin/perl",
        "/usr/bin/openssl",
        "/usr/bin/git",
        "/bin/tar",
        process.execPath,
      ];
      const paths = programs.filter((path) => existsSync(path)).map((path) => realpathSync(path));
      const elves = paths.filter((path) => isElf(readFileSync(path)));
      expect(elves.length).toBeGreaterThan(1);
      const byLdd = new Map(elves.map((path) => [path, lddLibraries(path)]));
      const wanted = new Set([...byLdd.values()].flat());
      const links = folders
        .flatMap((folder) => linksOf(folder))
        .concat(linksOf("/"), linksOf("/usr"), linksOf("/lib64"));
      const objects = [...new Set([...elves, ...wanted])].map((path) => ({
        path: path.slice(1),
        bytes: readFileSync(path),
      }));
      const input = (present: typeof objects): ClosureInput => ({
        objects: present.flatMap(({ path, bytes }) => {
          const facts = elfFacts(bytes);
          return facts ? [{ path, facts }] : [];
        }),
        links,
        machine: process.arch === "arm64" ? "aarch64" : "x86_64",
        searchPath: folders.map((folder) => folder.slice(1)),
      });
      expect(closeLibraries(input(objects))).toMatchObject({ missing: [], versionProblems: [], wrongMachine: [] });
      for (const gone of [...wanted].slice(0, 12)) {
        const closure = closeLibraries(input(objects.filter(({ path }) => `/${path}` !== gone)));
        const soname = elfFacts(readFileSync(gone))?.soname ?? basename(gone);
        expect(closure.missing.map((library) => library.soname)).toEqual([soname]);
        const users = elves.filter(
          (path) => byLdd.get(path)?.includes(gone) && elfFacts(readFileSync(path))?.needed.includes(soname),
        );
        expect(closure.missing[0]?.neededBy).toEqual(expect.arrayContaining(users.map((path) => path.slice(1))));
      }
    },
  );
});

describe("LinkedPaths", () => {
  it.each([
    ["lib/x/../libz.so", "usr/lib/libz.so"],
    ["deep/here", "opt/a/b/here"],
    ["abs/f", "etc/f"],
    ["./usr//lib/f", "usr/lib/f"],
    ["usr/lib/inner/f", "usr/lib/real/f"],
    ["../../f", "f"],
    ["loop/f", undefined],
  ])("resolves %s", (path, expected) => {
    const paths = new LinkedPaths([
      { path: "lib", target: "usr/lib" },
      { path: "usr/lib/x", target: "../lib/y" },
      { path: "deep", target: "opt/a/b" },
      { path: "abs", target: "/etc" },
      { path: "lib/inner", target: "real" },
      { path: "loop", target: "loop" },
    ]);
    expect(paths.resolve(path)).toBe(expected);
  });
});

function close(files: Record<string, ElfSpec>, input: Partial<ClosureInput> = {}): Closure {
  const objects = Object.entries(files).map(([path, spec]) => {
    const facts = elfFacts(buildElf(spec));
    if (!facts) throw new Error("not an ELF file");
    return { path, facts };
  });
  return closeLibraries({ objects, links: [], machine: "x86_64", searchPath: [lib], ...input });
}

function needs(...versions: string[]): ElfSpec {
  return { needed: ["libc.so.6"], versionsNeeded: [{ file: "libc.so.6", versions }] };
}

function lddLibraries(path: string): string[] {
  const text = execFileSync("ldd", [path], { encoding: "utf8", env: { PATH: process.env["PATH"] } });
  return [...text.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x/gm)].map((match) => realpathSync(match[1] ?? ""));
}

/** The folders of ld.so's cache. */
function ldconfigFolders(): string[] {
  const program = ["/sbin/ldconfig", "/usr/sbin/ldconfig"].find((path) => existsSync(path)) ?? "ldconfig";
  const text = execFileSync(program, ["-p"], { encoding: "utf8" });
  return [...new Set([...text.matchAll(/=> (\/\S+)/g)].map((match) => dirname(match[1] ?? "")))];
}

function linksOf(folder: string): { path: string; target: string }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => lstatSync(path).isSymbolicLink())
    .map((path) => ({ path: path.slice(1), target: readlinkSync(path) }));
}
