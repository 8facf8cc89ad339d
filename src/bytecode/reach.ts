/** How modules are found and read. The caller knows the paths and keeps what was parsed. */
export interface ReachInput {
  /** Dotted names of the modules that are started: `app.main`, `uvicorn`, `celery.__main__`. */
  start: string[];
  /** The source file of a module, undefined for what isn't Python source in the image: built-in, extension, absent. */
  find: (module: string) => { path: string; isPackage: boolean } | undefined;
  /**
   * Every absolute dotted name in a file that may be a module: `import a.b`, both `a` and `a.b` of `from a import b`
   * (relative ones resolved), and string constants of that form, since plugins are loaded by name.
   */
  imports: (path: string) => { modules: string[] };
}

/**
 * The source files that a start may import, over all imports, those inside functions included, and over the strings that
 * name modules. Packages above a module come with it. More than is loaded at any one start, less than all.
 *
 * @returns paths, each once, in the order in which they are found
 */
export function* reachModules({ start, find, imports }: ReachInput): Generator<string> {
  const paths = new Set<string>();
  const seen = new Set<string>();
  const pending: string[] = [];
  const want = (module: string) => {
    for (const name of withParents(module)) {
      if (seen.has(name)) continue;
      seen.add(name);
      pending.push(name);
    }
  };
  for (const module of start) want(module);
  for (let module = pending.pop(); module !== undefined; module = pending.pop()) {
    const found = find(module);
    if (!found || paths.has(found.path)) continue;
    paths.add(found.path);
    yield found.path;
    for (const name of imports(found.path).modules) want(name);
  }
}

/** `a`, `a.b`, `a.b.c` of `a.b.c`: importing a module imports the packages above it. */
function withParents(module: string): string[] {
  const segments = module.split(".");
  return segments.map((_, index) => segments.slice(0, index + 1).join("."));
}
