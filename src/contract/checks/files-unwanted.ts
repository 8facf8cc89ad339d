import { formatBytes, plural } from "../../units.ts";
import type { StaticCheck, StaticContext } from "../check.ts";
import type { FileFact } from "../facts/file-fact.ts";
import { ownersOf } from "../facts/owners.ts";
import { fail, type Finding, notApplicable, pass } from "../finding.ts";
import { firstOf, sum } from "../lists.ts";
import { allowedFiles } from "./allowed-files.ts";

export const filesSecret: StaticCheck = {
  id: "files.secret",
  title: "no secret in any layer",
  holds:
    "No layer, deleted files too, has an environment file, a key store or credentials by its name, or a private key or an issued token by its content. What a package brought unchanged, by RECORD or dpkg, is none.",
  why: "Layers are archives that anybody who may pull the image can read; a file that a later layer deletes is still in the earlier one.",
  sources: ["CIS Docker Benchmark 4.10", "trivy's rules skip site-packages and dist-info whole"],
  run: ({ facts, contract }) => {
    const owners = facts.derived(ownersOf);
    const isAllowed = allowedFiles(contract);
    const found = facts.secrets.filter(({ path }) => !owners.get(path)?.genuine && !isAllowed(path));
    const [first] = found;
    if (!first) return pass("no secrets");
    return fail(
      `/${first.path} ${first.reason.startsWith("holds") ? first.reason : `looks like a secret: ${first.reason}`}`,
      {
        evidence: firstOf(
          found.map(
            ({ path, layer, reason }) =>
              `/${path} in layer ${layer}: ${reason}${facts.files.get(path)?.layer === layer ? "" : " (deleted later, still shipped)"}`,
          ),
        ),
        hint: "name it in .dockerignore with **/ before it, give it at run time instead, and issue a new one: this one is out",
      },
    );
  },
};

interface Unwanted extends Omit<StaticCheck, "run"> {
  /** What the path is, or undefined when it may be there. */
  what: (path: string, file: FileFact) => string | undefined;
  /** Of images that others are built on nothing is asked. */
  notOfBase?: true;
  fine: string;
  hint: string;
}

const table: Unwanted[] = [
  {
    id: "files.vcs",
    title: "no repository history",
    holds: "No .git, .hg or .svn in the image.",
    why: "It holds every version of every file, with secrets that were removed long ago, and is often larger than the code.",
    sources: ["Dockerfile best practices: .dockerignore"],
    what: (path) => /(?:^|\/)(\.git|\.hg|\.svn)(?:\/|$)/.exec(path)?.[1],
    fine: "no .git, .hg or .svn",
    hint: "name it in .dockerignore: .git",
  },
  {
    id: "files.caches",
    title: "no caches of installers and tools",
    holds: "No download caches of pip, uv, Poetry or npm, and none of mypy, pytest, ruff and tox.",
    why: "Nothing reads them in a container; pip's cache alone doubles the size of what it installed.",
    sources: ["pip: --no-cache-dir", "uv: cache mounts in Docker"],
    what: (path, { type, size }) => (type === "file" && size > 0 ? cachePath.exec(path)?.[1] : undefined),
    fine: "no caches",
    hint: "pip install --no-cache-dir, or a cache mount (RUN --mount=type=cache); and name tools' caches in .dockerignore",
  },
  {
    id: "files.apt",
    title: "no apt lists and no downloaded packages",
    holds: "/var/lib/apt/lists and /var/cache/apt hold no files but locks.",
    why: "The lists have 20 to 50 MB and are out of date on the next day.",
    sources: ["Dockerfile best practices: apt-get", "hadolint DL3009"],
    what: (path, { type, size }) => {
      if (type !== "file" || size === 0) return undefined;
      return /^var\/lib\/apt\/lists\/(?!lock$|auxfiles\/)|^var\/cache\/apt\/(?:archives\/[^/]+\.deb|\w+\.bin)$/.test(
        path,
      )
        ? "apt"
        : undefined;
    },
    fine: "no lists",
    hint: "end the same RUN with rm -rf /var/lib/apt/lists/*, or mount both folders as caches",
  },
  {
    id: "files.compilers",
    title: "no compilers",
    holds: "No gcc, g++, clang, rustc, cargo, go or nvcc in the folders of programs, and no cc1.",
    why: "They are for building: 200 MB that a running server never uses, and tools for whoever breaks in.",
    sources: ["CIS Docker Benchmark 4.3", "Dockerfile best practices: multi-stage builds"],
    notOfBase: true,
    what: (path, { type, mode }) => (type === "file" && (mode & 0o111) !== 0 ? compiler.exec(path)?.[1] : undefined),
    fine: "no compilers",
    hint: "build in a first stage and copy the virtual environment from it; leave build-essential out of the last one",
  },
  {
    id: "files.tests",
    title: "the app's tests stay at home",
    holds: "No test_*.py, *_test.py or conftest.py outside of installed packages and the system's folders.",
    why: "Tests bring fixtures, sample data and credentials for test systems, and are imported by nothing.",
    sources: ["Dockerfile best practices: .dockerignore"],
    what: (path, { type }) =>
      type === "file" && testFile.test(path) && !systemFolder.test(path) ? "tests" : undefined,
    fine: "no tests of the app",
    hint: "name them in .dockerignore: **/tests **/conftest.py, or copy the package's folder alone",
  },
];

const cachePath =
  /(?:^|\/)(\.cache\/(?:pip|uv|pypoetry|pdm|pipenv|yarn|pre-commit)|\.npm\/_cacache|\.mypy_cache|\.pytest_cache|\.ruff_cache|\.tox|\.nox|\.hypothesis|var\/cache\/pip)\//;
const compiler =
  /^(?:.*\/)?s?bin\/((?:(?:x86_64|aarch64)-linux-gnu-)?(?:gcc|g\+\+|clang(?:\+\+)?|gfortran|tcc)(?:-[\d.]+)?|rustc|cargo|nvcc|go)$|(?:^|\/)lib(?:exec)?\/gcc\/.*\/(cc1(?:plus)?)$/;
const testFile = /(?:^|\/)(?:test_[^/]*|[^/]*_test|conftest)\.py$/;
const systemFolder =
  /(?:^|\/)(?:site|dist)-packages\/|(?:^|\/)lib(?:64)?\/(?:python3|pypy)|^(?:usr\/(?:share|lib|src)|var|etc|opt\/conda|root\/\.pyenv)\//;

export const filesUnwanted: readonly StaticCheck[] = table.map(({ what, fine, hint, notOfBase, ...about }) => ({
  ...about,
  run: (context): Finding => {
    if (notOfBase && context.contract.role === "base") return notApplicable("a base image may be one for building");
    const found = search(context, what);
    const [first] = found;
    if (!first) return pass(fine);
    const kinds = [...new Set(found.map(({ kind }) => kind))];
    const bytes = sum(found, ({ file }) => file.size);
    return fail(`${kinds.slice(0, 4).join(", ")}: ${plural(found.length, "file")}, ${formatBytes(bytes)}`, {
      evidence: firstOf(
        found.map(({ file }) => `/${file.path} in layer ${file.layer}`),
        6,
      ),
      hint,
    });
  },
}));

function search({ facts, contract }: StaticContext, what: Unwanted["what"]): { kind: string; file: FileFact }[] {
  const owners = facts.derived(ownersOf);
  const isAllowed = allowedFiles(contract);
  const found: { kind: string; file: FileFact }[] = [];
  for (const [path, file] of facts.files) {
    const kind = what(path, file);
    if (kind === undefined || isAllowed(path)) continue;
    // A distribution may ship what looks like this; a Debian package that is a compiler is one.
    if (owners.get(path)?.kind === "distribution") continue;
    found.push({ kind, file });
  }
  return found.filter(({ file }) => file.type !== "directory");
}
