import type { AppObject } from "./project.ts";
import type { Repository } from "./repository.ts";

/** Files that make a folder the home of a Python project. */
const marks = [
  "pyproject.toml",
  "setup.py",
  "setup.cfg",
  "requirements.txt",
  "Pipfile",
  "environment.yml",
  "uv.lock",
  "poetry.lock",
];

/** The folder that holds the app's dependency files: the nearest one above the best app, else the root. */
export function projectFolder(repository: Repository, apps: readonly AppObject[], python: readonly string[]): string {
  const best = apps.find((app) => app.kind === "fastapi") ?? apps[0];
  if (best) {
    for (let folder = folderOf(best.file); folder !== ""; folder = folderOf(folder)) {
      if (marks.some((name) => repository.has(`${folder}/${name}`)) || hasRequirements(repository, folder))
        return folder;
    }
    return "";
  }
  if (marks.some((name) => repository.has(name))) return "";
  // Without an app, the only folder that has such a file.
  const folders = [...repository.folders].filter(
    (folder) => folder !== "" && marks.some((name) => repository.has(`${folder}/${name}`)),
  );
  const holders = folders.filter((folder) => python.some((path) => path.startsWith(`${folder}/`)));
  return holders.length === 1 ? (holders[0] as string) : "";
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function hasRequirements(repository: Repository, folder: string): boolean {
  return (
    repository.folders.has(`${folder}/requirements`) &&
    repository.entries.some(({ path }) => path.startsWith(`${folder}/requirements/`) && path.endsWith(".txt"))
  );
}
