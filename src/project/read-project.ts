import { basename, resolve } from "node:path";
import { SheafError } from "../errors.ts";
import { chosenApp } from "./chosen-app.ts";
import { readConfig } from "./config/read-config.ts";
import type { SheafConfig } from "./config/schema.ts";
import { findDependencyFiles } from "./dependency-files.ts";
import { readEvidence } from "./evidence/read-evidence.ts";
import { chooseFiles } from "./files.ts";
import { findApps, type FoundApps } from "./find-apps.ts";
import type { Project, Sourced } from "./project.ts";
import { type ParseRecords, remembered } from "./parse-records.ts";
import { projectFolder } from "./project-folder.ts";
import { readMetadata, type PythonMetadata } from "./pyproject.ts";
import { Repository } from "./repository.ts";
import { refineRoles, type StartTarget, startTargets } from "./start-targets.ts";

export interface ReadProjectOptions {
  /** Settings that win over the configuration file's, a key at a time. */
  config?: Partial<SheafConfig>;
  /** `module:attribute`, or `module:factory()`: the app that the user named. */
  app?: string;
  /** Remembers what was parsed, by the text's hash, so that the parsers need not be loaded when nothing changed. */
  records?: ParseRecords;
}

/**
 * Reads a repository: its apps, dependency files, evidence and which files ship. Nothing in it is run. That no app is found
 * is no error here: `nearMisses` says what came close.
 *
 * @throws SheafError SHEAF_NO_PROJECT without a single Python file, SHEAF_CONFIG, SHEAF_CONFIG_TWICE, SHEAF_TOML,
 *   SHEAF_NAME, SHEAF_APP when the named app's module isn't there
 */
export async function readProject(directory: string, options: ReadProjectOptions = {}): Promise<Project> {
  const root = resolve(directory);
  const repository = new Repository(root);
  const python = repository.entries.filter(({ path }) => path.endsWith(".py")).map(({ path }) => path);
  if (python.length === 0) throw noPython(root);
  const read = (path: string): string | undefined => repository.text(path);
  const evidence = await readEvidence(repository, options.records);
  refineRoles(evidence.services, python, read);
  const targets = startTargets(evidence.services);
  const found = await findAppsOnce(repository, { python, targets, records: options.records });
  const apps = options.app === undefined ? found.apps : chosenApp(options.app, found.apps, { repository, python });
  const folder = projectFolder(repository, apps, python);
  const { config, configFile } = await configOf(folder, { read, given: options.config, records: options.records });
  const metadata = await readMetadata(folder, read);
  const importRoots = [...new Set(apps.map((app) => app.importRoot))];
  const files = chooseFiles({
    repository,
    directory: folder,
    importRoots,
    config,
    configFile,
    dockerfiles: evidence.dockerfiles.map(({ file }) => file),
  });
  const notes = [...evidence.notes, ...files.notes];
  const project: Project = {
    root,
    directory: folder,
    name: nameOf(metadata, root),
    version: metadata.version,
    requiresPython: metadata.requiresPython,
    pythonVersion: pythonVersionOf({ config, configFile, metadata, evidence }),
    dependencyFiles: findDependencyFiles(repository, folder, evidence.dockerfiles),
    extras: metadata.extras,
    groups: metadata.groups,
    ...(metadata.defaultGroups && { defaultGroups: metadata.defaultGroups }),
    apps,
    nearMisses: found.nearMisses,
    dockerfiles: evidence.dockerfiles,
    services: evidence.services,
    files: files.files,
    withheld: files.withheld,
    config,
    configFile,
    scripts: metadata.scripts,
  };
  if (notes.length > 0) project.notes = notes;
  return project;
}

interface AppSearch {
  python: string[];
  targets: StartTarget[];
  records: ParseRecords | undefined;
}

/** Which apps there are depends on the Python files, on where other files lie, and on what is started. */
function findAppsOnce(repository: Repository, { python, targets, records }: AppSearch): Promise<FoundApps> {
  const paths = repository.entries.map((entry) => entry.path);
  const text = JSON.stringify([repository.digest(python), paths, [...repository.folders], targets]);
  return remembered(records, { kind: "apps", text }, async () =>
    findApps({
      files: { paths: () => python, read: (path) => repository.text(path) },
      hasFile: (path) => repository.has(path),
      hasFolder: (path) => repository.folders.has(path),
      mentions: (path, words) => repository.mentions(path, words),
      targets,
    }),
  );
}

async function configOf(
  folder: string,
  {
    read,
    given,
    records,
  }: { read: (path: string) => string | undefined; given?: Partial<SheafConfig>; records?: ParseRecords },
): Promise<{ config: SheafConfig; configFile?: string }> {
  const { config, file } = await readConfig(["", folder], read, records);
  return { config: { ...config, ...given }, configFile: file };
}

function nameOf(metadata: PythonMetadata, root: string): Sourced<string> {
  return metadata.name ?? { value: basename(root) || "app", source: "the folder's name" };
}

function pythonVersionOf(input: {
  config: SheafConfig;
  configFile?: string;
  metadata: PythonMetadata;
  evidence: { dockerfiles: Project["dockerfiles"] };
}): Sourced<string> | undefined {
  const { config, configFile, metadata, evidence } = input;
  if (config.python !== undefined) return { value: config.python, source: configFile ?? "config" };
  return metadata.pythonVersion ?? evidence.dockerfiles.find(({ pythonVersion }) => pythonVersion)?.pythonVersion;
}

function noPython(root: string): SheafError {
  return new SheafError("SHEAF_NO_PROJECT", `${root} holds no Python files`, {
    hint: "run sheaf in the folder of a Python project, or give its path",
  });
}
