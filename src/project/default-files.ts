import type { Repository } from "./repository.ts";

interface DefaultsInput {
  repository: Pick<Repository, "has">;
  directory: string;
  importRoots: string[];
}

/**
 * Why a file doesn't ship unless the configuration includes it: it serves development, documentation or another build.
 * Everything else ships, since what an application reads at run time can't be known.
 *
 * @returns the rule, with the folder when all of that is left out
 */
export function leftOutByDefault(path: string, input: DefaultsInput): { source: string; folder?: string } | undefined {
  const { repository, directory, importRoots } = input;
  if (![directory, ...importRoots].some((folder) => folder === "" || path.startsWith(`${folder}/`))) {
    const top = path.includes("/") ? path.slice(0, path.indexOf("/")) : undefined;
    // Folders above the project's are shown by the highest one that holds nothing of it.
    const shown = top !== undefined && !directory.startsWith(top) ? top : undefined;
    return { source: `default: outside ${directory}/`, ...(shown === undefined ? {} : { folder: shown }) };
  }
  const parts = path.split("/");
  const name = parts.pop() as string;
  let folder = "";
  for (const part of parts) {
    const inProject = folder === directory;
    folder = folder === "" ? part : `${folder}/${part}`;
    const rule = folderRule(part, { folder, inProject, repository });
    if (rule !== undefined) return { source: `default: ${rule}`, folder };
  }
  const rule = fileRule(name, folder === directory || folder === "");
  return rule === undefined ? undefined : { source: `default: ${rule}` };
}

interface FolderPlace {
  folder: string;
  /** Stands right in the project's folder. */
  inProject: boolean;
  repository: Pick<Repository, "has">;
}

function folderRule(name: string, { folder, inProject, repository }: FolderPlace): string | undefined {
  if (name.startsWith(".") && name !== ".well-known") return "hidden folders";
  if (
    /^tests?$/.test(name) &&
    (inProject ||
      repository.has(`${folder}/conftest.py`) ||
      !repository.has(`${folder}/__init__.py`) ||
      name === "tests")
  )
    return "tests";
  if (/\.(?:egg-info|dist-info)$/.test(name)) return "build metadata";
  if (!inProject) return undefined;
  if (/^(?:e2e|testing|integration[-_]tests|load[-_]?tests?|htmlcov|coverage|benchmarks?)$/.test(name)) return "tests";
  if (
    /^(?:docs?|documentation|examples?|notebooks?|img|screenshots)$/.test(name) &&
    !repository.has(`${folder}/__init__.py`)
  )
    return "documentation";
  if (
    /^(?:k8s|kubernetes|helm|charts?|terraform|infra|infrastructure|ansible|deploy(?:ment)?s?|docker|nginx|traefik|ci|github|manifests|monitoring|grafana|prometheus)$/.test(
      name,
    ) &&
    !repository.has(`${folder}/__init__.py`)
  )
    return "deployment";
  if (/^(?:build|dist|wheels)$/.test(name) && !repository.has(`${folder}/__init__.py`)) return "build results";
  if (repository.has(`${folder}/package.json`) && !repository.has(`${folder}/__init__.py`))
    return "another build, it has a package.json";
  return undefined;
}

function fileRule(name: string, inProject: boolean): string | undefined {
  if (/^\.env[._-](?:example|sample|template|dist)$/.test(name)) return undefined;
  if (name.startsWith(".")) return "hidden files";
  if (/\.ipynb$/.test(name)) return "notebooks";
  if (/^(?:test_.*|.*_test|conftest)\.py$/.test(name)) return "tests";
  if (/(?:^|\.)Dockerfile(?:[.-].*)?$|\.dockerfile$|\.dockerignore$|^(?:docker-)?compose([.-].*)?\.ya?ml$/i.test(name))
    return "container builds";
  if (
    /^(?:poetry|uv|pdm|Pipfile|conda|pixi)\.lock$|^Pipfile$|^pylock(?:\..*)?\.toml$|^(?:package-lock\.json|yarn\.lock|pnpm-lock\.yaml)$/.test(
      name,
    )
  )
    return "lock files";
  if (/~$|\.(?:sw[po]|orig|rej|bak|log|tmp)$|^(?:Thumbs\.db|desktop\.ini)$/.test(name)) return "left-overs of tools";
  if (!inProject) return undefined;
  if (
    /^(?:Makefile|Justfile|justfile|Taskfile\.ya?ml|Procfile|tox\.ini|noxfile\.py|pytest\.ini|mypy\.ini|pyrightconfig\.json|ruff\.toml|setup\.(?:py|cfg)|MANIFEST\.in|codecov\.ya?ml|renovate\.json|mkdocs\.ya?ml|sonar-project\.properties|package\.json|fly\.toml|render\.yaml|app\.json|heroku\.yml|runtime\.txt|environment\.ya?ml|sheaf\.toml|skaffold\.ya?ml|cloudbuild\.ya?ml|bitbucket-pipelines\.yml|azure-pipelines\.ya?ml|Jenkinsfile|Vagrantfile|pre-commit.*|AGENTS\.md|CLAUDE\.md)$/.test(
      name,
    )
  )
    return "development";
  if (/^(?:dev-|test-|docs-)?requirements.*\.(?:txt|in)$|^constraints.*\.txt$/.test(name)) return "dependency lists";
  return /\.(?:md|rst)$|^(?:README|CHANGELOG|CONTRIBUTING|AUTHORS|CODEOWNERS)/i.test(name)
    ? "documentation"
    : undefined;
}
