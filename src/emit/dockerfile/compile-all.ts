/** Compiles all modules in a folder, whose .pyc are never checked against the source again; what can't be stays source. */
export function compileAll(folder: string, without?: string): string {
  const skipped = without === undefined ? "" : ` -x '/(${without})/'`;
  return `(python3 -m compileall -qq -j 0 --invalidation-mode unchecked-hash${skipped} ${folder} || true)`;
}
