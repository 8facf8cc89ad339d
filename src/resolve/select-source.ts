import * as path from "node:path";

import { SheafError } from "../errors.ts";
import type { DependencyFile, Project } from "../project/project.ts";

/** What the pins of a project are read from. */
export type DependencySource =
  | { kind: LockKind; file: string; notes: string[] }
  | { kind: "requirements"; files: string[]; notes: string[] }
  | { kind: "pyproject"; file: string; notes: string[] };

export type LockKind = "uv.lock" | "pylock.toml" | "poetry.lock" | "pdm.lock" | "Pipfile.lock";

const lockKinds: readonly string[] = ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock"];

interface SelectionFacts {
  project: Project;
  /** requirements files named by the user: they decide. */
  requirements?: string[];
  /** Whether extras or groups are chosen, which only pyproject and locks know. */
  selecting: boolean;
  /** Whether the pyproject.toml lists dependencies (statically). */
  pyprojectDeclares: boolean;
  /** requirements files from which the build backend reads the dependencies ([tool.setuptools.dynamic]). */
  dynamicFiles: string[];
  /** Whether the pyproject.toml lists dependencies for Poetry alone. */
  poetryOnly: boolean;
  /** Whether a requirements file pins everything with hashes, or says that a tool compiled it. */
  isCompiled: (file: string) => boolean;
}

/**
 * Chooses among what a repository has: the named requirements, else its lock, else compiled requirements, else pyproject,
 * else requirements by hand.
 * @throws SheafError SHEAF_LOCKS (two locks), SHEAF_NO_DEPENDENCIES, SHEAF_CONDA, SHEAF_REQUIREMENTS_CHOICE
 */
export function selectSource(facts: SelectionFacts): DependencySource {
  const { project } = facts;
  if (facts.requirements && facts.requirements.length > 0) {
    return { kind: "requirements", files: facts.requirements.map((file) => path.posix.normalize(file)), notes: [] };
  }
  const locks = nearestOf(project.dependencyFiles.filter((file) => lockKinds.includes(file.kind)));
  if (locks.length > 1) throw severalLocks(locks);
  const [lock] = locks;
  const found = project.dependencyFiles.filter((file) => file.kind === "requirements").map((file) => file.file);
  const requirements = facts.dynamicFiles.length > 0 ? facts.dynamicFiles : found;
  if (lock) {
    const unused =
      requirements.length > 0 ? [`${lock.file} is used, not ${requirements.join(", ")}: the lock tells more`] : [];
    return { kind: lock.kind as LockKind, file: lock.file, notes: unused };
  }
  const pyproject = project.dependencyFiles.find((file) => file.kind === "pyproject")?.file;
  const declares = pyproject !== undefined && facts.pyprojectDeclares;
  if (declares && facts.selecting) return { kind: "pyproject", file: pyproject, notes: [] };
  if (facts.dynamicFiles.length > 0) return { kind: "requirements", files: facts.dynamicFiles, notes: [] };
  const chosen = requirements.length > 0 ? chooseRequirements(requirements, project, declares) : undefined;
  if (chosen && (!declares || chosen.every(facts.isCompiled)))
    return { kind: "requirements", files: chosen, notes: [] };
  if (declares) return { kind: "pyproject", file: pyproject, notes: [] };
  throw nothingToRead(facts);
}

/** Locks of the folder nearest to the project; a workspace's lock may lie above it. */
function nearestOf(files: DependencyFile[]): DependencyFile[] {
  const deepest = Math.max(...files.map(depthOf), 0);
  return files.filter((file) => depthOf(file) === deepest);
}

function depthOf(file: DependencyFile): number {
  return file.file.split("/").length;
}

function severalLocks(locks: DependencyFile[]): SheafError {
  const names = locks.map((lock) => lock.file);
  return new SheafError("SHEAF_LOCKS", `the project has ${names.length} locks: ${names.join(" and ")}`, {
    hint: [
      "remove the one that isn't kept up to date",
      'or say what to install: requirements = ["requirements.txt"] in [tool.sheaf.images.<name>], exported from the right one',
    ],
  });
}

const unlikely =
  /(?:^|[-_./])(?:dev|develop|development|test|tests|testing|docs?|lint|ci|local|typing|bench)(?:[-_.]|$)/i;
const preferred = [
  "requirements.txt",
  "requirements.lock",
  "requirements/prod.txt",
  "requirements/production.txt",
  "requirements/base.txt",
  "requirements/main.txt",
  "requirements/requirements.txt",
];

function chooseRequirements(files: string[], project: Project, hasOther: boolean): string[] | undefined {
  if (files.length === 1) return files;
  const installed = project.dockerfiles.flatMap((dockerfile) =>
    dockerfile.installs.map((install) => path.posix.normalize(install.value)),
  );
  const evident = files.filter((file) => installed.includes(file));
  if (evident.length > 0) return evident;
  const inFolder = (name: string) => path.posix.join(project.directory, name);
  const usual = preferred.map(inFolder).find((name) => files.includes(name));
  if (usual) return [usual];
  const likely = files.filter((file) => !unlikely.test(file.slice(project.directory.length)));
  if (likely.length === 1) return likely;
  if (hasOther) return undefined;
  throw new SheafError(
    "SHEAF_REQUIREMENTS_CHOICE",
    `several requirements files, and nothing says which one is installed`,
    {
      details: [["found", files.join(", ")]],
      hint: `name it: requirements = [${JSON.stringify(files[0])}] in [tool.sheaf.images.<name>]`,
    },
  );
}

function nothingToRead({ project, poetryOnly }: SelectionFacts): SheafError {
  if (poetryOnly) {
    return new SheafError(
      "SHEAF_NO_LOCK",
      "pyproject.toml lists its dependencies for Poetry, and there is no poetry.lock",
      {
        hint: "run poetry lock, and commit poetry.lock",
      },
    );
  }
  const kinds = new Map(project.dependencyFiles.map((file) => [file.kind, file.file]));
  const conda = kinds.get("conda");
  if (conda) {
    return new SheafError("SHEAF_CONDA", `${conda} asks for conda packages, which Sheaf can't install`, {
      hint: [
        "list the Python packages in pyproject.toml or requirements.txt: Sheaf brings Python and native libraries itself",
        'what only conda has usually is a Debian package: packages = ["…"] in [tool.sheaf]',
      ],
    });
  }
  const pipfile = kinds.get("Pipfile");
  if (pipfile) {
    return new SheafError("SHEAF_NO_LOCK", `${pipfile} has no Pipfile.lock`, {
      hint: "run pipenv lock, and commit Pipfile.lock",
    });
  }
  const setup = kinds.get("setup.py") ?? kinds.get("setup.cfg");
  if (setup) {
    return new SheafError("SHEAF_NO_LOCK", `${setup} says its dependencies only when it is run, which Sheaf doesn't`, {
      hint: "write them down: uv pip compile setup.py --generate-hashes -o requirements.txt",
    });
  }
  return new SheafError("SHEAF_NO_DEPENDENCIES", "nothing in the project says what to install", {
    details: [
      ["looked for", "uv.lock, pylock.toml, poetry.lock, pdm.lock, Pipfile.lock, requirements*.txt, pyproject.toml"],
    ],
    hint: "list the dependencies in pyproject.toml ([project] dependencies) or in requirements.txt",
  });
}
