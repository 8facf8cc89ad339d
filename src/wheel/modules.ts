/**
 * The names that `import` finds in a library folder, sorted: packages (namespace packages too), modules and extension
 * modules. What is no identifier, such as `numpy.libs` or a dist-info, can't be imported.
 *
 * @param paths of files, relative to the library folder
 */
export function topLevelModules(paths: Iterable<string>): string[] {
  const names = new Set<string>();
  for (const path of paths) {
    if (!/\.(?:py|so)$/.test(path)) continue;
    const slash = path.indexOf("/");
    const name = slash < 0 ? path.slice(0, path.indexOf(".")) : path.slice(0, slash);
    if (identifier.test(name)) names.add(name);
  }
  return [...names].toSorted();
}

const identifier = /^[\p{ID_Start}_][\p{ID_Continue}]*$/u;
