/** PEP 3147: `a/b.py` → `a/__pycache__/b.cpython-312.pyc`. */
export function cachedPath(source: string, cacheTag: string): string {
  const slash = source.lastIndexOf("/");
  return `${source.slice(0, slash + 1)}__pycache__/${source.slice(slash + 1, -".py".length)}.${cacheTag}.pyc`;
}
