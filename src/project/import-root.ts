import { standardLibrary } from "./python/standard-library.ts";
import type { PythonFacts } from "./python/module-facts.ts";
import type { StartTarget } from "./start-targets.ts";

export interface ImportRootInput {
  file: string;
  facts: PythonFacts;
  /** Whether a path is a file of the repository. */
  hasFile: (path: string) => boolean;
  /** Whether a path is a folder of the repository. */
  hasFolder: (path: string) => boolean;
  /** Modules that commands name. */
  targets: readonly StartTarget[];
}

/** Names that a project's own module may have beside the distribution that is meant: `app/celery.py`. */
const wellKnown = new Set([
  "fastapi",
  "celery",
  "starlette",
  "pydantic",
  "sqlalchemy",
  "alembic",
  "redis",
  "uvicorn",
  "kombu",
  "boto3",
  "requests",
  "httpx",
]);

const projectFiles = [
  "pyproject.toml",
  "setup.py",
  "setup.cfg",
  "requirements.txt",
  "Pipfile",
  "uv.lock",
  "poetry.lock",
];

/**
 * The folder that has to be on sys.path for a file to be imported as its authors mean it: as a command names it, as its own
 * imports resolve, as its `__init__.py` files nest, or below the project's folder, in this order.
 */
export function importRootOf(input: ImportRootInput): string {
  const { file, targets } = input;
  const folders = ancestors(file);
  for (const { module } of targets) {
    const path = module.replaceAll(".", "/");
    const named = folders.find((folder) =>
      [`${path}.py`, `${path}/__init__.py`].some((end) => file === joined(folder, end)),
    );
    if (named !== undefined) return named;
  }
  const votes = folders.map((folder) => ({ folder, votes: votesFor(folder, input) }));
  const most = Math.max(...votes.map((vote) => vote.votes));
  const best = votes.filter((vote) => vote.votes === most).map((vote) => vote.folder);
  const conventional = conventionalRoot(input, folders);
  if (most === 0 || best.includes(conventional)) return conventional;
  return best[0] as string;
}

/** The file's folders, its own first, the root last. */
function ancestors(file: string): string[] {
  const folders: string[] = [];
  for (let at = file.lastIndexOf("/"); at > 0; at = file.lastIndexOf("/", at - 1)) folders.push(file.slice(0, at));
  return [...folders, ""];
}

function votesFor(folder: string, { file, facts, hasFile, hasFolder }: ImportRootInput): number {
  const standard = standardLibrary("");
  let votes = 0;
  for (const { module } of facts.imports) {
    const top = module.split(".", 1)[0] as string;
    if (top === "" || standard.has(top) || wellKnown.has(top)) continue;
    const whole = joined(folder, module.replaceAll(".", "/"));
    // The file itself is no witness.
    if (`${whole}.py` === file) continue;
    if (hasFile(`${whole}.py`) || hasFile(`${whole}/__init__.py`)) votes += 2;
    else if (hasFolder(whole)) votes += 1;
  }
  return votes;
}

function conventionalRoot({ file, hasFile }: ImportRootInput, folders: string[]): string {
  const outside = folders.find((folder) => !hasFile(joined(folder, "__init__.py"))) ?? "";
  const own = folders[0] as string;
  if (outside !== own || file.endsWith("/__init__.py")) return outside;
  const project = folders.find((folder) => projectFiles.some((name) => hasFile(joined(folder, name)))) ?? "";
  const source = joined(project, "src");
  return own === source || own.startsWith(`${source}/`) ? source : project;
}

function joined(folder: string, path: string): string {
  return folder === "" ? path : `${folder}/${path}`;
}
