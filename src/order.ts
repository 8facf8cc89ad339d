/** For sorting: by UTF-16 code unit, the same under every locale. */
export function byCodeUnit(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** For sorting: by path, as `byCodeUnit`. */
export function byPath(a: { path: string }, b: { path: string }): number {
  return byCodeUnit(a.path, b.path);
}
