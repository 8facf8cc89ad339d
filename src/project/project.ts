import type { SheafConfig } from "./config/schema.ts";

/** A value with its origin in the words that the plan shows: `flag`, `config`, `app/main.py:5`, `Dockerfile:12`, `default`. */
export interface Sourced<T> {
  value: T;
  source: string;
}

/** Something worth telling beside the facts: `runs alembic upgrade head before the start`. */
export interface EvidenceNote {
  what: string;
  /** Where it was seen: `scripts/start.sh:3`. */
  source: string;
}

/** A `FastAPI()` or `Celery()` object, or a function that returns one, found by parsing. */
export interface AppObject {
  kind: "fastapi" | "celery";
  /** Dotted module as Python imports it inside the image, seen from its import root: `app.main`. */
  module: string;
  /** Name in the module: `app`, or `create_app` for a factory. */
  attribute: string;
  factory: boolean;
  /** Path from the project's root. */
  file: string;
  line: number;
  /** Folder, from the project's root, that has to be on sys.path for `module` to import: `""`, `src`, `backend`. */
  importRoot: string;
  /** How likely it is the one that is meant: higher is better, equal is a tie that a person has to break. */
  score: number;
  /** What the score is made of: `in main.py`, `mounted by app/main.py:9`. */
  reasons?: string[];
}

/** A process that the repository's own Docker, compose or Procfile names. Parsed, never run. */
export interface ServiceEvidence {
  /** compose service, Procfile process type, or `Dockerfile`. */
  name: string;
  role: "api" | "worker" | "beat" | "flower" | "other";
  /** Exec form, with a leading `sh -c`, env prefix and shell operators taken apart where that is safe. */
  command?: Sourced<string[]>;
  workdir?: Sourced<string>;
  env: Record<string, Sourced<string>>;
  ports: Sourced<number>[];
  health?: Sourced<string>;
  /** The Dockerfile (path from the root) and target stage that it is built from. */
  dockerfile?: string;
  target?: string;
  /** Queues that a worker takes tasks from (`-Q`). */
  queues?: string[];
  /** Names of environment variables whose values are secrets or come from a file, never the values. */
  secretEnv?: string[];
  notes?: EvidenceNote[];
}

export interface DockerfileEvidence {
  file: string;
  pythonVersion?: Sourced<string>;
  baseImage?: Sourced<string>;
  /** apt packages of the stage that ends up in the image. */
  aptPackages: Sourced<string>[];
  workdir?: Sourced<string>;
  env: Record<string, Sourced<string>>;
  ports: Sourced<number>[];
  /** ENTRYPOINT and CMD of the final stage. */
  command?: Sourced<string[]>;
  /** What it installs: a requirements file's path in the repository, `extra:ml`, `group:prod`, `package:gunicorn==23.0`. */
  installs: Sourced<string>[];
  /** COPY sources of the final stage, to know the context's shape: from → to. */
  copies: { from: string; to: string; source: string }[];
  health?: Sourced<string>;
  notes?: EvidenceNote[];
}

export interface ShippedFile {
  /** Path from the project's root, POSIX. */
  path: string;
  /** Bytes. */
  size: number;
  mode: number;
  /** Modification time in ms, with size the key of the hash cache. */
  mtimeMs: number;
  symlink?: string;
  /** More than 100 MB: seldom meant to be in an image. */
  large?: true;
}

export interface WithheldFile {
  path: string;
  reason: "secret" | "ignored" | "cache" | "vcs" | "virtualenv" | "outside" | "special";
  /** The rule: `.dockerignore:3`, `looks like a private key`. */
  rule: string;
}

/** Which files say what is to be installed. Facts only: resolve/ reads them. */
export interface DependencyFile {
  kind:
    | "uv.lock"
    | "pylock.toml"
    | "poetry.lock"
    | "pdm.lock"
    | "Pipfile.lock"
    | "requirements"
    | "pyproject"
    | "Pipfile"
    | "setup.py"
    | "setup.cfg"
    | "conda";
  /** Path from the project's root. */
  file: string;
}

/** What is in a repository: facts, each with the file and line that it came from. */
export interface Project {
  /** Absolute path of the repository. */
  root: string;
  /** Folder of the Python project inside it, `""` when it is the root itself: where pyproject or requirements stand. */
  directory: string;
  name: Sourced<string>;
  version?: Sourced<string>;
  /** PEP 440 specifier. */
  requiresPython?: Sourced<string>;
  /** Exact or minor version that the repository asks for: .python-version, FROM python:…, runtime.txt, config. */
  pythonVersion?: Sourced<string>;
  dependencyFiles: DependencyFile[];
  /** Names of optional-dependencies and dependency-groups in pyproject. */
  extras: string[];
  groups: string[];
  /** Groups that the project's own tool installs unless told otherwise (`[tool.uv] default-groups`). */
  defaultGroups?: Sourced<string[]>;
  apps: AppObject[];
  /** Near misses for the error when no app is found: what it is and what to type. */
  nearMisses: { file: string; line: number; what: string; try: string }[];
  dockerfiles: DockerfileEvidence[];
  services: ServiceEvidence[];
  files: ShippedFile[];
  withheld: WithheldFile[];
  config: SheafConfig;
  /** Name of the file that `config` came from, or undefined. */
  configFile?: string;
  /** Console scripts of the project itself (`[project.scripts]`), name → `module:attribute`. */
  scripts: Record<string, string>;
  /** Things seen that fit nowhere else: names that differ in case alone, steps that a start script takes first. */
  notes?: EvidenceNote[];
}
