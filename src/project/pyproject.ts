import type { Sourced } from "./project.ts";
import { isTable, lineOfKey, parseToml, stringAt, tableAt, type TomlTable } from "./toml.ts";
import { scanPython } from "./python/facts.ts";
import type { CallExpression, Expression } from "./python/expression.ts";

/** What a project says of itself, in whichever of Python's files it says it. */
export interface PythonMetadata {
  name?: Sourced<string>;
  version?: Sourced<string>;
  requiresPython?: Sourced<string>;
  /** Version that tools are told to use: .python-version, runtime.txt, Pipfile. */
  pythonVersion?: Sourced<string>;
  extras: string[];
  groups: string[];
  /** `[tool.uv] default-groups`. */
  defaultGroups?: Sourced<string[]>;
  scripts: Record<string, string>;
  /** Packages that build settings name, to know where the code is: `src`. */
  packageFolders: string[];
}

/** Text of a file by its path from the project's root. */
export type ReadText = (path: string) => string | undefined;

/**
 * Reads pyproject.toml (PEP 621 and poetry), setup.cfg, setup.py, .python-version, runtime.txt and Pipfile of a folder.
 * The first that says something wins. Nothing is run: a computed value in setup.py is none.
 *
 * @throws SheafError SHEAF_TOML
 */
export async function readMetadata(directory: string, read: ReadText): Promise<PythonMetadata> {
  const at = (name: string): string => (directory === "" ? name : `${directory}/${name}`);
  const metadata: PythonMetadata = { extras: [], groups: [], scripts: {}, packageFolders: [] };
  const pyproject = read(at("pyproject.toml"));
  if (pyproject !== undefined) {
    const document = await parseToml(pyproject, at("pyproject.toml"));
    readPyproject(metadata, { document, text: pyproject, file: at("pyproject.toml"), read, directory });
  }
  const setupCfg = read(at("setup.cfg"));
  if (setupCfg !== undefined) readSetupCfg(metadata, setupCfg, at("setup.cfg"));
  const setupPy = read(at("setup.py"));
  if (setupPy !== undefined) readSetupPy(metadata, setupPy, at("setup.py"));
  for (const name of new Set([at(".python-version"), ".python-version"])) readPythonVersion(metadata, name, read);
  for (const name of new Set([at("runtime.txt"), "runtime.txt"])) {
    const version = /^\s*python-(3\.\d+(?:\.\d+)?)/.exec(read(name) ?? "")?.[1];
    if (version !== undefined) metadata.pythonVersion ??= { value: version, source: `${name}:1` };
  }
  const pipfile = read(at("Pipfile"));
  if (pipfile !== undefined) await readPipfile(metadata, pipfile, at("Pipfile"));
  return metadata;
}

interface PyprojectInput {
  document: TomlTable;
  text: string;
  file: string;
  directory: string;
  read: ReadText;
}

function readPyproject(metadata: PythonMetadata, input: PyprojectInput): void {
  const { document, text, file } = input;
  const source = (...path: string[]): string => `${file}:${lineOfKey(text, path)}`;
  const project = tableAt(document, "project");
  const poetry = tableAt(document, "tool", "poetry");
  const sourced = (table: TomlTable, ...path: string[]): Sourced<string> | undefined => {
    const value = stringAt(table, path.at(-1) as string);
    return value === undefined ? undefined : { value, source: source(...path) };
  };
  metadata.name = sourced(project, "project", "name") ?? sourced(poetry, "tool", "poetry", "name");
  metadata.requiresPython = sourced(project, "project", "requires-python");
  const poetryPython = tableAt(poetry, "dependencies")["python"];
  if (metadata.requiresPython === undefined && typeof poetryPython === "string") {
    const value = poetryConstraint(poetryPython);
    if (value !== undefined)
      metadata.requiresPython = { value, source: source("tool", "poetry", "dependencies", "python") };
  }
  const extras = [...Object.keys(tableAt(project, "optional-dependencies")), ...Object.keys(tableAt(poetry, "extras"))];
  metadata.extras = [...new Set(extras)];
  const groups = [
    ...Object.keys(tableAt(document, "dependency-groups")),
    ...Object.keys(tableAt(poetry, "group")),
    ...(isTable(poetry["dev-dependencies"]) ? ["dev"] : []),
    ...Object.keys(tableAt(document, "tool", "pdm", "dev-dependencies")),
    ...(Array.isArray(tableAt(document, "tool", "uv")["dev-dependencies"]) ? ["dev"] : []),
  ];
  metadata.groups = [...new Set(groups)];
  const byDefault = tableAt(document, "tool", "uv")["default-groups"];
  if (Array.isArray(byDefault) || byDefault === "all") {
    const value = byDefault === "all" ? metadata.groups : byDefault.filter((each) => typeof each === "string");
    metadata.defaultGroups = { value, source: source("tool", "uv", "default-groups") };
  }
  for (const [name, target] of [
    ...Object.entries(tableAt(poetry, "scripts")),
    ...Object.entries(tableAt(project, "scripts")),
  ]) {
    const value = isTable(target) ? target["callable"] : target;
    if (typeof value === "string" && name !== "__proto__") metadata.scripts[name] = value;
  }
  metadata.version =
    sourced(project, "project", "version") ??
    poetryVersion(sourced(poetry, "tool", "poetry", "version")) ??
    dynamicVersion(input, metadata.name?.value);
  metadata.packageFolders = packageFolders(document);
}

/** Poetry's placeholder for plugins that compute the version says nothing. */
function poetryVersion(version: Sourced<string> | undefined): Sourced<string> | undefined {
  return version && /^0(?:\.0)*$/.test(version.value) ? undefined : version;
}

function packageFolders(document: TomlTable): string[] {
  const folders: string[] = [];
  const add = (value: unknown): void => {
    if (typeof value === "string" && value !== "" && value !== ".")
      folders.push(value.replace(/^\.\//, "").replace(/\/$/, ""));
  };
  const setuptools = tableAt(document, "tool", "setuptools");
  const where = tableAt(setuptools, "packages", "find")["where"];
  for (const folder of Array.isArray(where) ? where : []) add(folder);
  add(tableAt(setuptools, "package-dir")[""]);
  const poetryPackages = tableAt(document, "tool", "poetry")["packages"];
  for (const item of Array.isArray(poetryPackages) ? poetryPackages : []) if (isTable(item)) add(item["from"]);
  for (const path of Object.values(tableAt(document, "tool", "pdm", "build"))) if (typeof path === "string") add(path);
  return [...new Set(folders)];
}

/** A version that lives in the code: named by the build backend's settings, or `__version__` of the project's package. */
function dynamicVersion(
  { document, directory, read }: PyprojectInput,
  name: string | undefined,
): Sourced<string> | undefined {
  const inDirectory = (path: string): string => (directory === "" ? path : `${directory}/${path}`);
  const candidates: { path: string; attribute: string }[] = [];
  const dynamic = tableAt(document, "tool", "setuptools", "dynamic", "version");
  const attr = stringAt(dynamic, "attr");
  if (attr !== undefined) {
    const parts = attr.split(".");
    const attribute = parts.pop() as string;
    for (const base of [parts.join("/"), `src/${parts.join("/")}`]) {
      candidates.push({ path: `${base}.py`, attribute }, { path: `${base}/__init__.py`, attribute });
    }
  }
  const file = stringAt(dynamic, "file");
  const fromFile = file === undefined ? undefined : /^\s*(\d\S*)\s*$/.exec(read(inDirectory(file)) ?? "")?.[1];
  if (file !== undefined && fromFile !== undefined) return { value: fromFile, source: `${inDirectory(file)}:1` };
  for (const tool of ["hatch", "pdm"]) {
    const path = stringAt(tableAt(document, "tool", tool, "version"), "path");
    if (path !== undefined) candidates.push({ path, attribute: "__version__" }, { path, attribute: "VERSION" });
  }
  const listed = tableAt(document, "project")["dynamic"];
  if (name !== undefined && Array.isArray(listed) && listed.includes("version")) {
    const base = name.replaceAll(/[-.]/g, "_");
    for (const path of [`${base}/__init__.py`, `src/${base}/__init__.py`, `${base}.py`])
      candidates.push({ path, attribute: "__version__" });
  }
  for (const { path, attribute } of candidates) {
    const text = read(inDirectory(path));
    const found = text === undefined ? undefined : assignedString(text, attribute);
    if (found) return { value: found.value, source: `${inDirectory(path)}:${found.line}` };
  }
  return undefined;
}

function assignedString(text: string, name: string): { value: string; line: number } | undefined {
  for (const fact of scanPython(text).assignments) {
    if (fact.name === name && fact.scope === "" && fact.value.kind === "string")
      return { value: fact.value.value, line: fact.line };
  }
  return undefined;
}

/**
 * Poetry's constraint as a PEP 440 specifier: `^3.11` is `>=3.11,<4.0`, `~3.11` is `>=3.11,<3.12`. Undefined for `*` and
 * for alternatives (`||`), which PEP 440 can't say.
 */
export function poetryConstraint(constraint: string): string | undefined {
  if (/\|/.test(constraint)) return undefined;
  const parts: string[] = [];
  for (const part of constraint.trim().split(/\s*,\s*|\s+(?=[<>=!~^])/)) {
    const match = /^(\^|~(?!=)|~=|===?|!=|<=|>=|<|>)?\s*v?(\d+(?:\.\d+)*)(\.\*)?([\w.+-]*)$/.exec(part);
    if (!match) {
      if (part === "*" || part === "") continue;
      return undefined;
    }
    const [, operator = "", version = "", wildcard = "", suffix = ""] = match;
    if (operator === "^" || operator === "~") parts.push(`>=${version}${suffix}`, `<${upperBound(version, operator)}`);
    else if (operator === "" || operator === "=") parts.push(`==${version}${suffix}${wildcard}`);
    else parts.push(`${operator}${version}${suffix}${wildcard}`);
  }
  return parts.length === 0 ? undefined : parts.join(",");
}

function upperBound(version: string, operator: "^" | "~"): string {
  const numbers = version.split(".").map(Number);
  let index = 0;
  if (operator === "~") index = numbers.length === 1 ? 0 : 1;
  // A caret keeps the first number that is not zero.
  else while (numbers[index] === 0 && index < numbers.length - 1) index++;
  const bound = numbers.slice(0, index + 1);
  bound[index] = (bound[index] as number) + 1;
  return index === 0 ? `${bound[0]}.0` : bound.join(".");
}

function readSetupCfg(metadata: PythonMetadata, text: string, file: string): void {
  let section = "";
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const header = /^\[([^\]]+)\]/.exec(line);
    if (header) section = (header[1] as string).trim();
    const entry = /^([\w.-]+)\s*[=:]\s*(.*?)\s*$/.exec(line);
    if (!entry) continue;
    const [, key = "", value = ""] = entry;
    if (section === "options.extras_require" && !metadata.extras.includes(key)) metadata.extras.push(key);
    if (value === "" || value.startsWith("attr:") || value.startsWith("file:")) continue;
    const sourced = { value, source: `${file}:${index + 1}` };
    if (section === "metadata" && key === "name") metadata.name ??= sourced;
    if (section === "metadata" && key === "version") metadata.version ??= sourced;
    if (section === "options" && key.replace("-", "_") === "python_requires") metadata.requiresPython ??= sourced;
  }
}

function readSetupPy(metadata: PythonMetadata, text: string, file: string): void {
  const found = setupCall(text);
  if (!found) return;
  const literal = (key: string): Sourced<string> | undefined => {
    const value: Expression | undefined = found.call.keywords[key];
    return value?.kind === "string" ? { value: value.value, source: `${file}:${found.line}` } : undefined;
  };
  metadata.name ??= literal("name");
  metadata.version ??= literal("version");
  metadata.requiresPython ??= literal("python_requires");
}

/** The call of `setup(…)` in a setup.py. */
function setupCall(text: string): { call: CallExpression; line: number } | undefined {
  return scanPython(text).calls.find(({ call }) => call.callee === "setup" || call.callee.endsWith(".setup"));
}

/** Requirements that a setup.py spells out as literals; undefined when it has none or computes them. */
export function setupRequirements(text: string): string[] | undefined {
  const value = setupCall(text)?.call.keywords["install_requires"];
  if (value?.kind !== "list") return undefined;
  const strings = value.items.flatMap((item) => (item.kind === "string" ? [item.value] : []));
  return strings.length === value.items.length ? strings : undefined;
}

function readPythonVersion(metadata: PythonMetadata, file: string, read: ReadText): void {
  for (const [index, line] of (read(file) ?? "").split(/\r?\n/).entries()) {
    const version = /^\s*(?:cpython[@-])?(3\.\d+(?:\.\d+)?)\s*$/i.exec(line)?.[1];
    if (version === undefined) continue;
    metadata.pythonVersion ??= { value: version, source: `${file}:${index + 1}` };
    return;
  }
}

async function readPipfile(metadata: PythonMetadata, text: string, file: string): Promise<void> {
  const requires = tableAt(await parseToml(text, file), "requires");
  for (const key of ["python_full_version", "python_version"]) {
    const value = stringAt(requires, key);
    if (value !== undefined)
      metadata.pythonVersion ??= { value, source: `${file}:${lineOfKey(text, ["requires", key])}` };
  }
}
