/** Compiles all modules in a folder, whose .pyc are never checked against the source again; what can't be stays source. */
export function compileAll(folder: string): string {
  return `${compile} ${folder} || true)`;
}

/** The same in two lines, but for what lies in folders of these names. */
export function compileAllBut(folder: string, names: readonly string[]): [string, string] {
  return [compile, `-x '/(${names.join("|")})/' ${folder} || true)`];
}

const compile = "(python3 -m compileall -qq -j 0 --invalidation-mode unchecked-hash";
