import type { PythonLayout } from "../filesystem/layout.ts";

/** The layout of a CPython under /usr/local, as python.org's sources install it. */
export function pythonLayout(minor: string): PythonLayout {
  const stdlib = `usr/local/lib/python${minor}`;
  return {
    executable: `/usr/local/bin/python${minor}`,
    purelib: `${stdlib}/site-packages`,
    platlib: `${stdlib}/site-packages`,
    scripts: "usr/local/bin",
    data: "usr/local",
    include: `usr/local/include/python${minor}`,
    stdlib,
    cacheTag: `cpython-${minor.replace(".", "")}`,
  };
}
