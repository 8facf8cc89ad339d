import type { PythonLayout } from "../filesystem/layout.ts";
import type { DebianArchive } from "./archive.ts";

/** Debian's own interpreter of one minor version. */
export interface DebianPython {
  /** `3.13.5`, without Debian's additions. */
  version: string;
  /** What has to be asked for; the closure brings the libraries. */
  packages: string[];
  layout: PythonLayout;
}

/**
 * Debian's packages of CPython `minor` (`3.13`), when the archive has them: the interpreter with its whole standard library,
 * without the `python3` name of the distribution's default and without the tools of development. Distributions go where pip puts
 * them on Debian, beside the distribution's own packages and before them on sys.path.
 */
export function debianPythonPackages(archive: DebianArchive, minor: string): DebianPython | undefined {
  const interpreter = /^3\.\d+$/.test(minor) ? archive.find(`python${minor}`) : undefined;
  if (!interpreter) return undefined;
  const wanted = [`python${minor}-minimal`, `libpython${minor}-minimal`, `libpython${minor}-stdlib`, `python${minor}`];
  const local = `usr/local/lib/python${minor}`;
  return {
    version: upstream(interpreter.version),
    packages: wanted.filter((name) => archive.find(name)).toSorted(),
    layout: {
      executable: `/usr/bin/python${minor}`,
      purelib: `${local}/dist-packages`,
      platlib: `${local}/dist-packages`,
      scripts: "usr/local/bin",
      data: "usr/local",
      include: `usr/include/python${minor}`,
      stdlib: `usr/lib/python${minor}`,
      cacheTag: `cpython-${minor.replace(".", "")}`,
    },
  };
}

/**
 * Full version of Debian's interpreter, `3.11.2`: of the minor version asked for, or of the one that `python3` stands for.
 * Undefined when the archive has none.
 */
export function debianPythonVersion(archive: DebianArchive, minor?: string): string | undefined {
  if (minor !== undefined) return debianPythonPackages(archive, minor)?.version;
  const current = archive.find("python3");
  const name = /\bpython(3\.\d+)\b/.exec(current?.depends ?? "")?.[1];
  return name === undefined ? undefined : debianPythonPackages(archive, name)?.version;
}

/** `3.11.2-6+deb12u6` → `3.11.2`; a release candidate keeps its mark: `3.13.0~rc2-1` → `3.13.0rc2`. */
function upstream(version: string): string {
  return version
    .replace(/^\d+:/, "")
    .replace(/-[^-]*$/, "")
    .replace(/\+.*$/, "")
    .replace("~", "");
}
