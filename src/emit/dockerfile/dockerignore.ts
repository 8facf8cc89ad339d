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
 * The .dockerignore of a project: what no image gets isn't even sent to the engine. Nothing that an image ships or that the build reads is matched; the last pattern that matches
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
  const own = [...leftOut(plans), ...writableFolders(plans), ...usualFolders]
    .map((path) => path.replace(/\/$/, ""))
    .filter((path) => !needed.some((file) => file === path || file.startsWith(`${path}/`)))
    .filter((path) => !kept.some((pattern) => matches(pattern, path)))
    .map((path) => `/${escaped(path)}`);
  const configured = plans.flatMap(({ install }) => install?.excluded ?? []).map(fromGitPattern);
  const all = [...new Set([...own.toSorted(byCodeUnit), ...configured])];
  lines.push("# Of this project: in no image, though it may lie here.", ...all, "");
  lines.push("# The last pattern that matches decides, so exceptions come last.", ...exceptions);
  return `${lines.join("\n")}\n`;
}

/** What no image of the project gets. Hidden files of the root are left: they are small, and no COPY names them. */
function leftOut(plans: readonly ImagePlan[]): string[] {
  const withheld = plans.map((plan) => new Map(plan.withheld.map((each) => [each.path, each.reason])));
  const [first = new Map<string, string>(), ...others] = withheld;
  return [...first]
    .filter(
      ([path, reason]) => others.every((each) => each.has(path)) && !(reason !== "secret" && /^\.[^/]*$/.test(path)),
    )
    .map(([path]) => path)
    .filter((path) => !/^(?:Dockerfile|Containerfile)[^/]*$/.test(path));
}

/** Folders that appear when the application runs here, from the context's root. */
function writableFolders(plans: readonly ImagePlan[]): string[] {
  return plans.flatMap(({ writable, config }) => {
    const workdir = `${config.workdir.value.slice(1)}/`;
    return writable.filter((folder) => folder.startsWith(workdir)).map((folder) => folder.slice(workdir.length));
  });
}

/** Folders of most repositories that no image gets, whether they are there or not yet. */
const usualFolders: readonly string[] = ["docs", "logs", "tests"];

/** gitignore(5) as Docker has it: a pattern with a slash is anchored in both, one without matches in every folder. */
function fromGitPattern(pattern: string): string {
  const negated = pattern.startsWith("!") ? "!" : "";
  const bare = pattern.slice(negated.length).replace(/\/$/, "");
  if (bare.startsWith("/")) return `${negated}${bare}`;
  return `${negated}${bare.includes("/") ? "/" : "**/"}${bare}`;
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
