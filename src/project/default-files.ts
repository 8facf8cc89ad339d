import type { Repository } from "./repository.ts";

export interface DefaultsInput {
  repository: Pick<Repository, "has">;
  /** Folder of the Python project. */
  directory: string;
  importRoots: string[];
}

/**
 * Why a folder doesn't ship unless the configuration includes it: it serves development, documentation or another build.
 * Everything else ships, since what an application reads at run time can't be known.
 */
export function folderLeftOut(
  folder: string,
  { repository, directory, importRoots }: DefaultsInput,
): string | undefined {
  const homes = [directory, ...importRoots];
  if (
    !homes.some(
      (home) => home === "" || folder === home || folder.startsWith(`${home}/`) || home.startsWith(`${folder}/`),
    )
  ) {
    return `default: outside ${directory}/`;
  }
  const at = folder.lastIndexOf("/");
  const name = folder.slice(at + 1);
  const inProject = folder.slice(0, Math.max(0, at)) === directory;
  const isPackage = repository.has(`${folder}/__init__.py`);
  if (name.startsWith(".") && name !== ".well-known") return "default: hidden folders";
  if (/\.(?:egg-info|dist-info)$/.test(name)) return "default: build metadata";
  if (name === "tests" || (name === "test" && (inProject || !isPackage || repository.has(`${folder}/conftest.py`))))
    return "default: tests";
  if (inProject && testFolders.test(name)) return "default: tests";
  // An import root of its own, or what holds one, is the project's whatever it is called.
  if (!inProject || isPackage || homes.some((home) => home === folder || home.startsWith(`${folder}/`)))
    return undefined;
  for (const [pattern, rule] of folderRules) if (pattern.test(name)) return `default: ${rule}`;
  return repository.has(`${folder}/package.json`) ? "default: another build, it has a package.json" : undefined;
}

/** The same for a file in a folder that ships. */
export function fileLeftOut(path: string, { directory, importRoots }: DefaultsInput): string | undefined {
  if (![directory, ...importRoots].some((home) => home === "" || path.startsWith(`${home}/`)))
    return `default: outside ${directory}/`;
  const at = path.lastIndexOf("/");
  const name = path.slice(at + 1);
  if (/^\.env[._-].*(?:example|sample|template|dist)$/.test(name)) return undefined;
  for (const [pattern, rule] of fileRules) if (pattern.test(name)) return `default: ${rule}`;
  if (path.slice(0, Math.max(0, at)) !== directory) return undefined;
  for (const [pattern, rule] of projectFileRules) if (pattern.test(name)) return `default: ${rule}`;
  return undefined;
}

const testFolders = /^(?:e2e|(?:integration|load|unit|functional)[-_]?tests?|htmlcov|coverage)$/;

/** Folders right in the project's, unless they are packages. */
const folderRules: [RegExp, string][] = [
  [/^(?:docs?|documentation|examples?|notebooks?|img|screenshots)$/, "documentation"],
  [
    /^(?:k8s|kubernetes|helm|charts?|terraform|infra|infrastructure|ansible|deploy(?:ment)?s?|docker|containers?|compose|nginx|traefik|ci|github|manifests|monitoring|grafana|prometheus|cloudbuild)$/,
    "deployment",
  ],
  [/^(?:dev|devtools|hack|benchmarks?|bench)$/, "development"],
  [/^(?:build|dist|wheels|wheelhouse)$/, "build results"],
  [/^requirements$/, "dependency lists"],
];

/** Files anywhere. */
const fileRules: [RegExp, string][] = [
  [/^\./, "hidden files"],
  [/\.ipynb$/, "notebooks"],
  [/^(?:test_.*|.*_test|conftest)\.py$/, "tests"],
  [
    /(?:^|\.)(?:Dockerfile|Containerfile)(?:[.-].*)?$|\.dockerfile$|\.dockerignore$|^(?:docker-)?compose([.-].*)?\.ya?ml$/i,
    "container builds",
  ],
  [
    /^(?:poetry|uv|pdm|Pipfile|conda|pixi)\.lock$|^requirements(?:-[\w.-]+)?\.lock$|^Pipfile$|^pylock(?:\..*)?\.toml$|^(?:package-lock\.json|yarn\.lock|pnpm-lock\.yaml)$/,
    "lock files",
  ],
  [
    /~$|\.(?:sw[po]|orig|rej|bak|log|tmp|pid)$|^(?:Thumbs\.db|desktop\.ini|celerybeat-schedule.*|dump\.rdb)$/,
    "left-overs of tools",
  ],
];

/** Files right in the project's folder. */
const projectFileRules: [RegExp, string][] = [
  [/^(?:dev-|test-|docs-)?requirements.*\.(?:txt|in)$|^constraints.*\.txt$/, "dependency lists"],
  [/\.(?:md|rst|puml)$|^(?:README|CHANGELOG|CONTRIBUTING|AUTHORS|CODEOWNERS)/i, "documentation"],
  [
    /^(?:Makefile|[Jj]ustfile|Procfile|Jenkinsfile|Vagrantfile|Brewfile|Tiltfile|MANIFEST\.in|runtime\.txt|setup\.(?:py|cfg)|noxfile\.py|fabfile\.py)$/,
    "development",
  ],
  [
    /^(?:tox|pytest|mypy|\.?flake8|pylintrc|setup)\.ini$|^(?:ruff|fly|netlify|cliff|sheaf|pixi|railway|taplo|typos)\.toml$/,
    "development",
  ],
  [
    /^(?:codecov|mkdocs|render|heroku|environment|conda|crowdin|Taskfile|skaffold|cloudbuild|azure-pipelines|bitbucket-pipelines|appveyor|docker-bake|pre-commit.*|sonar.*)\.(?:ya?ml|hcl|properties)$/,
    "development",
  ],
  [/^(?:package|app|renovate|vercel|pyrightconfig|tsconfig.*|biome)\.json$|\.config\.[cm]?[jt]s$/, "development"],
];
