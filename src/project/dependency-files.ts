import type { DependencyFile, DockerfileEvidence } from "./project.ts";
import type { Repository } from "./repository.ts";
import { byCodeUnit } from "../order.ts";

/** Files that say what is to be installed, those of the project's folder, in the order in which they are to be believed. */
export function findDependencyFiles(
  repository: Repository,
  directory: string,
  dockerfiles: readonly DockerfileEvidence[],
): DependencyFile[] {
  const at = (name: string): string => (directory === "" ? name : `${directory}/${name}`);
  const found: DependencyFile[] = [];
  const add = (kind: DependencyFile["kind"], file: string): void => {
    if (repository.has(file) && !found.some((known) => known.file === file)) found.push({ kind, file });
  };
  for (const lock of ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock"] as const) {
    add(lock, at(lock));
    // A workspace has its lock at the root.
    if (lock === "uv.lock" && directory !== "") add(lock, lock);
  }
  for (const file of requirementsFiles(repository, directory, dockerfiles)) add("requirements", file);
  add("pyproject", at("pyproject.toml"));
  add("Pipfile", at("Pipfile"));
  add("setup.cfg", at("setup.cfg"));
  add("setup.py", at("setup.py"));
  for (const name of ["environment.yml", "environment.yaml", "conda.yml"]) add("conda", at(name));
  return found;
}

/** What Dockerfiles install comes first; else production's variant; tools of development never. */
function requirementsFiles(
  repository: Repository,
  directory: string,
  dockerfiles: readonly DockerfileEvidence[],
): string[] {
  const installed = dockerfiles
    .flatMap(({ installs }) => installs.map(({ value }) => value))
    .filter((value) => /\.(?:txt|in)$/.test(value) && repository.has(value) && !isDevelopment(value));
  const prefix = directory === "" ? "" : `${directory}/`;
  const all = repository.entries
    .map(({ path }) => path)
    .filter(
      (path) =>
        path.startsWith(prefix) &&
        isRequirements(path.slice(prefix.length)) &&
        !isDevelopment(path.slice(prefix.length)),
    );
  const ranked = all.toSorted((a, b) => rankOf(a) - rankOf(b) || byCodeUnit(a, b));
  return [...new Set([...installed, ...ranked])];
}

function isRequirements(path: string): boolean {
  return /^(?:[\w-]*requirements[\w.-]*\.txt|requirements\/[\w.-]+\.txt|deps\/requirements[\w.-]*\.txt)$/i.test(path);
}

function isDevelopment(path: string): boolean {
  return /(?:^|[/_.-])(?:dev|develop|development|devel|test|tests|testing|docs?|lint|local|ci|typing|build|debug)(?=[/_.-]|$)/i.test(
    path.replace(/\.(?:txt|in)$/, ""),
  );
}

function rankOf(path: string): number {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (/prod|lock|api|server/.test(name)) return 0;
  if (name === "requirements.txt") return 1;
  return /base|common|main|default/.test(name) ? 2 : 3;
}
