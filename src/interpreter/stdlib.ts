/** A part of the standard library that stays out of images. `name` is what `keep` takes. */
export interface LeftOut {
  name: string;
  /** Matches paths under lib/python3.N, POSIX. */
  matches: (path: string) => boolean;
  reason: string;
}

/** A folder at the top of the standard library. */
function folder(name: string): (path: string) => boolean {
  return (path) => path === name || path.startsWith(`${name}/`);
}

/** An extension module in lib-dynload. */
function extension(pattern: string): (path: string) => boolean {
  const expression = new RegExp(`^lib-dynload/(?:${pattern})\\.[^/]*so$`);
  return (path) => expression.test(path);
}

/** What a service never imports, by size: CPython's own tests and build leftovers are four fifths of an installation. */
export const leftOut: readonly LeftOut[] = [
  {
    name: "__pycache__",
    matches: (path) => /(^|\/)__pycache__(\/|$)/.test(path),
    reason: "bytecode is compiled anew, unchecked",
  },
  {
    name: "site-packages",
    matches: (path) => path.startsWith("site-packages/"),
    reason: "packages come from the lock",
  },
  { name: "test", matches: folder("test"), reason: "CPython's own tests" },
  {
    name: "tests",
    matches: (path) =>
      /^(?:ctypes\/test|distutils\/tests|idlelib\/idle_test|lib2to3\/tests|sqlite3\/test|tkinter\/test|unittest\/test)(?:\/|$)/.test(
        path,
      ),
    reason: "CPython's own tests",
  },
  {
    name: "_test",
    matches: extension("_(?:test|ctypes_test|xxtest)[a-z]*|xxlimited(?:_35)?|xxsubtype"),
    reason: "extension modules that only CPython's own tests use",
  },
  {
    name: "config",
    matches: (path) => /^config-[^/]+(\/|$)/.test(path),
    reason: "for embedding Python into other programs",
  },
  { name: "idlelib", matches: folder("idlelib"), reason: "a graphical editor" },
  {
    name: "tkinter",
    matches: (path) => folder("tkinter")(path) || extension("_tkinter")(path),
    reason: "graphical interface, needs Tcl/Tk",
  },
  {
    name: "turtle",
    matches: (path) => path === "turtle.py" || folder("turtledemo")(path),
    reason: "graphical, needs Tcl/Tk",
  },
  { name: "ensurepip", matches: folder("ensurepip"), reason: "bundled wheels of pip" },
  { name: "lib2to3", matches: folder("lib2to3"), reason: "converts Python 2 sources" },
  { name: "pydoc_data", matches: folder("pydoc_data"), reason: "texts of help() in an interactive session" },
  {
    name: "readline",
    matches: extension("readline"),
    reason: "line editing of an interactive session, needs libreadline",
  },
  {
    name: "curses",
    matches: (path) => folder("curses")(path) || extension("_curses(?:_panel)?")(path),
    reason: "full-screen terminal programs, needs libncursesw",
  },
  { name: "gdbm", matches: extension("_gdbm"), reason: "needs libgdbm; dbm falls back on its other formats" },
  { name: "ndbm", matches: extension("_dbm"), reason: "needs libdb or libgdbm; dbm falls back on its other formats" },
  { name: "nis", matches: extension("nis"), reason: "Sun's Yellow Pages, needs libnsl" },
  { name: "ossaudiodev", matches: extension("ossaudiodev"), reason: "sound cards" },
  { name: "windows", matches: (path) => path.endsWith(".exe"), reason: "programs for Windows" },
  { name: "static", matches: (path) => /\.(?:a|o|la)$/.test(path), reason: "for linking" },
  {
    name: "EXTERNALLY-MANAGED",
    matches: (path) => path === "EXTERNALLY-MANAGED",
    reason: "tells pip whose installation it is",
  },
];

/** Why a path under lib/python3.N stays out, or undefined when it goes in. */
export function reasonLeftOut(path: string, keep: ReadonlySet<string>): LeftOut | undefined {
  return leftOut.find((part) => !keep.has(part.name) && part.matches(path));
}
