import type { ImagePlan } from "../../plan/image-plan.ts";
import { byCodeUnit } from "../../order.ts";

interface Section {
  why: string[];
  patterns: string[];
}

/** What is in nearly every checkout and in no image. */
const sections: Section[] = [
  {
    why: ["Docker matches a plain name at the context's root only, unlike git: `**/` makes it match in every folder."],
    patterns: [
      ...["**/.git", "**/.venv", "**/venv", "**/__pycache__", "**/*.pyc", "**/.pytest_cache", "**/.mypy_cache"],
      ...["**/.ruff_cache", "**/.tox", "**/.coverage", "**/htmlcov", "**/node_modules", "**/.DS_Store", "**/*.log"],
    ],
  },
  {
    why: ["Secrets."],
    patterns: [
      ...["**/.env", "**/.env.*", "**/*.pem", "**/*.key", "**/*.p12", "**/*.pfx", "**/id_rsa", "**/id_ed25519"],
      ...["**/.netrc", "**/.pypirc", "**/.npmrc", "**/.aws", "**/.ssh", "**/.docker", "**/credentials.json"],
    ],
  },
];

/** Names that say that a file shows what a secret one would look like. */
const sampleEnvironment = "**/.env.example";

/** More files than this would need an exception: the pattern doesn't fit the project. */
const mostExceptions = 8;

/**
 * The .dockerignore of a project: what no image gets, folders that aren't copied, and what was withheld, so that none of it
 * is even sent to the engine. Nothing that an image ships or that the build reads is matched; the last pattern that matches
 * decides, so exceptions come last.
 */
export function dockerignoreOf(plans: readonly ImagePlan[]): string {
  const shipped = plans.flatMap(({ files }) => files.flatMap(({ from }) => from ?? []));
  const needed = [...new Set([...shipped, ...plans.flatMap(({ install }) => install?.reads ?? [])])].toSorted(
    byCodeUnit,
  );
  const lines: string[] = [];
  const exceptions = new Set<string>([`!${sampleEnvironment}`]);
  const kept: string[] = [];
  for (const { why, patterns } of sections) {
    const fitting = patterns.filter((pattern) => {
      const hit = needed.filter((file) => matches(pattern, file) && !matches(sampleEnvironment, file));
      if (hit.length > mostExceptions) return false;
      for (const file of hit) exceptions.add(`!${escaped(file)}`);
      return true;
    });
    lines.push(...why.map((line) => `# ${line}`), ...fitting, "");
    kept.push(...fitting);
  }
  const own = [...leftOut(plans)]
    .map((path) => path.replace(/\/$/, ""))
    .filter((path) => !needed.some((file) => file === path || file.startsWith(`${path}/`)))
    .filter((path) => !kept.some((pattern) => matches(pattern, path)))
    .toSorted(byCodeUnit)
    .map((path) => `/${escaped(path)}`);
  if (own.length > 0) lines.push("# Of this project: what no image gets.", ...own, "");
  lines.push("# The last pattern that matches decides.", ...exceptions);
  return `${lines.join("\n")}\n`;
}

/** What no image of the project gets, most of it hidden files that no COPY names: those that lie in the way are enough. */
function leftOut(plans: readonly ImagePlan[]): Set<string> {
  const withheld = plans.map((plan) => new Set(plan.withheld.map(({ path }) => path)));
  const [first = new Set<string>(), ...others] = withheld;
  const common = [...first].filter((path) => others.every((each) => each.has(path)));
  return new Set([...usualFolders, ...common.filter((path) => !isDockers(path))]);
}

/** Folders that appear when tests run or the application does. */
const usualFolders: string[] = [];

/** Docker takes these from the context itself. */
function isDockers(path: string): boolean {
  return /^(?:\.dockerignore|(?:Dockerfile|Containerfile)[^/]*)$/.test(path);
}

/** Patterns here are `**` and one name with at most one leading star. */
function matches(pattern: string, path: string): boolean {
  const name = pattern.slice("**/".length);
  return path
    .split("/")
    .some((segment) => (name.startsWith("*") ? segment.endsWith(name.slice(1)) : matchesName(name, segment)));
}

function matchesName(name: string, segment: string): boolean {
  return name.endsWith("*") ? segment.startsWith(name.slice(0, -1)) : segment === name;
}

function escaped(path: string): string {
  return path.replaceAll(/[\\*?[]/g, "\\$&");
}
