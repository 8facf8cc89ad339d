import type { Closure } from "../../elf/closure.ts";
import type { StaticCheck, StaticContext } from "../check.ts";
import type { ImageFacts } from "../facts/image-facts.ts";
import { elfObjects, nativeClosure } from "../facts/native.ts";
import { packagedPaths } from "../facts/packages.ts";
import { environmentOf } from "../facts/programs.ts";
import { type Finding, fail, notApplicable, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";

const closures = new WeakMap<ImageFacts, Closure | undefined>();

/** The closure of the image, found once. */
function closureOf({ facts, image }: StaticContext): Closure | undefined {
  if (!closures.has(facts)) {
    const libraryPath = environmentOf(image.config.config ?? {}).get("LD_LIBRARY_PATH");
    const { architecture } = image.platform;
    closures.set(facts, nativeClosure(facts, { architecture, ...(libraryPath === undefined ? {} : { libraryPath }) }));
  }
  return closures.get(facts);
}

function withClosure(context: StaticContext, judge: (closure: Closure, objects: number) => Finding): Finding {
  const objects = context.facts.derived(elfObjects).length;
  if (objects === 0) return notApplicable("there are no compiled programs");
  const closure = closureOf(context);
  if (!closure) return notApplicable(`libraries of ${context.image.platform.architecture} are not followed`);
  return judge(closure, objects);
}

/** The standard library's own extensions: official images ship _tkinter without Tk. */
const optional = /(?:^|\/)lib-dynload\/[^/]+\.so$/;

/** Plugins in folders below the libraries'. Debian's packages suggest what some of theirs need, as iproute2 does with libatm1. */
const plugin = /^(?:usr\/)?lib\/(?:[^/]+-linux-gnu\/)?[^/]+\/(?:.*\/)?[^/]+\.so$/;

export const nativeLibraries: StaticCheck = {
  id: "native.libraries",
  title: "every program and library finds the libraries that it needs",
  holds:
    "DT_NEEDED and the interpreter of every ELF file, looked up as ld.so does: RPATH, RUNPATH, LD_LIBRARY_PATH, ld.so.conf, the default folders. What the GPU's driver brings is expected at run time; libraries that a package loads by path itself count when they lie in the same site-packages; extensions of the standard library, such as _tkinter, and plugins of Debian's packages may lack theirs.",
  why: "`ImportError: libGL.so.1: cannot open shared object file`, on the first request: libraries that only the builder had.",
  sources: ["ld.so(8)", "System V ABI, chapter 5"],
  run: (context) =>
    withClosure(context, ({ missing }, objects) => {
      const packaged = missing.length > 0 ? context.facts.derived(packagedPaths) : new Set<string>();
      const mayLack = (path: string) => optional.test(path) || (plugin.test(path) && packaged.has(path));
      const wanted = missing
        .map(({ soname, neededBy }) => ({ soname, neededBy: neededBy.filter((path) => !mayLack(path)) }))
        .filter(({ soname, neededBy }) => neededBy.length > 0 && !context.contract.allowLibraries.includes(soname));
      const [first] = wanted;
      if (!first) return pass(`${objects} programs and libraries closed`);
      return fail(
        `${first.soname} is not there, ${first.neededBy[0]} needs it${wanted.length > 1 ? `, and ${wanted.length - 1} more` : ""}`,
        {
          evidence: firstOf(
            wanted.map(
              ({ soname, neededBy }) =>
                `${soname}: needed by ${firstOf(
                  neededBy.map((path) => `/${path}`),
                  3,
                ).join(", ")}`,
            ),
          ),
          hint: `install the package that has ${first.soname} in the last stage; where it is an option that nobody uses, name it in allow-libraries`,
        },
      );
    }),
};

/** Where a file for another machine would be loaded or started. */
const loadedPlaces =
  /(?:^|\/)s?bin\/[^/]+$|\.cpython-[^/]*\.so$|\.abi3\.so$|^(?:usr\/)?lib(?:64)?\/[^/]+\.so|^(?:usr\/)?lib\/[^/]+-linux-gnu\/[^/]+\.so/;

export const nativeArchitecture: StaticCheck = {
  id: "native.architecture",
  title: "programs and libraries are for the image's architecture",
  holds:
    "ELF files in folders of programs and of libraries, and compiled Python modules, are for the platform that the config names.",
  why: "A file of another architecture ends with `exec format error`, or isn't found although it is there: wheels of the builder's machine in an image for another.",
  sources: ["ELF: e_machine", "image-spec, config.md: architecture"],
  run: (context) =>
    withClosure(context, ({ wrongMachine }, objects) => {
      const wrong = wrongMachine.filter((path) => loadedPlaces.test(path));
      const [first] = wrong;
      const { architecture } = context.image.platform;
      if (first === undefined) return pass(`${objects} for ${architecture}`, { limit: architecture });
      const machine = context.facts.files.get(first)?.elf?.machine ?? "another machine";
      return fail(`/${first} is for ${machine}`, {
        limit: architecture,
        evidence: firstOf(wrong.map((path) => `/${path}`)),
        hint: `resolve and build for linux/${architecture}: pip download --platform, docker build --platform`,
      });
    }),
};

export const nativeSymbols: StaticCheck = {
  id: "native.symbols",
  title: "libraries have the symbol versions that others ask of them",
  holds:
    "Every version that an ELF file needs of a library (GLIBC_2.38 of libc.so.6) is one that the library in the image defines.",
  why: "A wheel or a program built on a newer system: `version GLIBC_2.38 not found`.",
  sources: ["ld.so(8)", "PEP 600: manylinux"],
  run: (context) =>
    withClosure(context, ({ versionProblems, glibcRequired }) => {
      const [first] = versionProblems;
      if (!first) return pass(glibcRequired ? `glibc ${glibcRequired.version} is enough` : "no versions are asked for");
      return fail(`/${first.path} needs ${first.version} of ${first.library}`, {
        evidence: firstOf(versionProblems.map(({ path, library, version }) => `/${path}: ${version} of ${library}`)),
        hint: "build on the same or an older system than the image's, take a manylinux wheel, or a newer base",
      });
    }),
};
