import { SheafError } from "../../errors.ts";
import { evaluateMarker, markerEnvironment } from "../../resolve/markers.ts";
import { parseRequirement, type Requirement } from "../../resolve/pep508.ts";
import { satisfies } from "../../resolve/specifiers.ts";
import { normalizeName } from "../../wheel/filename.ts";
import type { StaticCheck, StaticContext } from "../check.ts";
import { installedDistributions, type InstalledDistribution } from "../facts/distributions.ts";
import type { ImageFacts } from "../facts/image-facts.ts";
import { textOf } from "../facts/image-facts.ts";
import { packagedPaths } from "../facts/packages.ts";
import { environmentOf, isExecutable, shebangOf } from "../facts/programs.ts";
import { findProgram } from "../facts/programs.ts";
import { hollowTwins } from "../facts/twins.ts";
import { type PythonEnvironment, pythonEnvironments } from "../facts/pythons.ts";
import { fail, notApplicable, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";

const noDistributions = "no Python distributions are installed";

export const pythonRecord: StaticCheck = {
  id: "python.record",
  title: "every distribution has the files that its RECORD says",
  holds:
    "Each row with a SHA-256: the file is there and has that content. Bytecode and tests may be missing; a script may name another interpreter; a file that another distribution puts there may be that one's; of builds of one library under several names, such as OpenCV's, the metadata may be there alone.",
  why: "What isn't as it was published was cut, patched or half overwritten by another version: it fails where nobody looks, and pip can't remove it. Scanners list files by RECORD.",
  sources: ["Recording installed projects (PEP 376, PEP 627)", "pip issue 13389"],
  run: ({ facts }) => {
    const all = facts.derived(installedDistributions);
    // Debian moves files of its Python packages about and keeps their RECORD: dpkg answers for those.
    const packaged = facts.derived(packagedPaths);
    const twins = facts.derived(hollowTwins);
    const own = all.filter(({ info }) => !packaged.has(`${info}/METADATA`) && !twins.has(info));
    const recorded = own.filter(({ record }) => record !== undefined);
    if (own.length === 0) return notApplicable(noDistributions);
    const hashes = new Set(recorded.flatMap(({ record = [] }) => record.map(({ path, hash }) => `${path} ${hash}`)));
    const problems = own.flatMap((each) =>
      each.broken === undefined ? recordProblems(facts, each, hashes) : [`${each.name}: ${each.broken}`],
    );
    const [first] = problems;
    if (first === undefined) return pass(`${recorded.length} distributions whole`);
    return fail(first, {
      evidence: firstOf(problems),
      hint: "install the distribution anew, in one piece, into one layer; delete nothing of it by hand",
    });
  },
};

/** Folders that are cut out of images on purpose, the official ones too; nothing imports them. */
const leftOut = /(?:^|\/)(?:tests?|testing|idle_test|docs?|examples?|benchmarks?)\/|\.py[co]$/;

function recordProblems(
  facts: ImageFacts,
  { name, version, record = [] }: InstalledDistribution,
  known: Set<string>,
): string[] {
  return record.flatMap(({ path, hash }) => {
    if (hash === undefined || !hash.startsWith("sha256=")) return [];
    const file = facts.files.get(path) ?? facts.find(path);
    if (file?.sha256 === undefined) return leftOut.test(path) ? [] : [`${name} ${version}: /${path} is missing`];
    const actual = `sha256=${file.sha256}`;
    if (actual === hash.replace(/=+$/, "") || known.has(`${path} ${actual}`)) return [];
    // Its first line names the interpreter: whoever moves an environment rewrites it.
    if (shebangOf(file)) return [];
    return [`${name} ${version}: /${path} has another content`];
  });
}

export const pythonDependencies: StaticCheck = {
  id: "python.dependencies",
  title: "every distribution finds what it requires",
  holds:
    "Requires-Dist of every installed distribution, with the extras that others ask of it, markers evaluated for the image's platform and Python: each is installed in a version that fits.",
  why: "`pip check`, without running anything: a missing or wrong version breaks on import, or later.",
  sources: ["Core metadata: Requires-Dist", "PEP 508"],
  run: (context) => {
    const environments = context.facts
      .derived(pythonEnvironments)
      .filter(({ distributions }) => distributions.length > 0);
    if (environments.length === 0) return notApplicable(noDistributions);
    const problems = environments.flatMap((environment) => dependencyProblems(environment, context));
    const [first] = problems;
    if (first === undefined)
      return pass(`${environments.reduce((sum, each) => sum + each.distributions.length, 0)} distributions satisfied`);
    return fail(first, {
      evidence: firstOf(problems),
      hint: "resolve again, for this platform, and install the whole lock: pip check tells the same",
    });
  },
};

function dependencyProblems({ minor, distributions }: PythonEnvironment, { image }: StaticContext): string[] {
  const architecture = image.platform.architecture === "arm64" ? "arm64" : "amd64";
  const told = environmentOf(image.config.config ?? {}).get("PYTHON_VERSION");
  const python = told?.startsWith(`${minor}.`) ? told : `${minor}.99`;
  const target = { platform: { os: "linux", architecture } as const, python, glibc: [2, 99] as [number, number] };
  const byName = new Map(distributions.toReversed().map((each) => [each.name, each]));
  const problems = new Set<string>();
  const seen = new Set<string>();
  const pending = distributions.map((each) => ({ each, extra: "" }));
  for (const { each, extra } of pending) {
    if (seen.has(`${each.info} ${extra}`)) continue;
    seen.add(`${each.info} ${extra}`);
    const environment = markerEnvironment(target, { extras: extra === "" ? [] : [extra] });
    for (const requirement of requirementsOf(each, extra)) {
      // With an extra, only what it adds is new.
      if (requirement.marker ? !evaluateMarker(requirement.marker, environment) : extra !== "") continue;
      const found = byName.get(requirement.name);
      const by = `${each.name}${extra === "" ? "" : `[${extra}]`} requires ${requirement.name}${requirement.specifier === "" ? "" : ` ${requirement.specifier}`}`;
      if (!found) problems.add(`${by}, which is not installed`);
      else if (!satisfies(found.version, requirement.specifiers)) problems.add(`${by}, installed is ${found.version}`);
      else for (const wanted of requirement.extras) pending.push({ each: found, extra: wanted });
    }
  }
  return [...problems].toSorted();
}

/** Without those that only another extra brings: most of what metadata lists. */
function requirementsOf({ requires }: InstalledDistribution, extra: string): Requirement[] {
  return requires.flatMap((text) => {
    const onlyFor = /;\s*extra\s*==\s*["']([^"']*)["']\s*$/.exec(text)?.[1];
    if (onlyFor !== undefined && normalizeName(onlyFor) !== normalizeName(extra)) return [];
    try {
      return [parseRequirement(text)];
    } catch (error) {
      // pip passes over what can't be read as well.
      if (error instanceof SheafError) return [];
      throw error;
    }
  });
}

export const pythonVersions: StaticCheck = {
  id: "python.versions",
  title: "no distribution is installed in two versions",
  holds: "In each folder of packages every name has one dist-info or egg-info.",
  why: "Left over from copying one site-packages over another: importlib.metadata takes either, scanners report both, the files are of the last.",
  sources: ["Recording installed projects", "the recipe that copies site-packages over the base's"],
  run: ({ facts }) => {
    const all = facts.derived(installedDistributions);
    if (all.length === 0) return notApplicable(noDistributions);
    const byPlace = new Map<string, InstalledDistribution[]>();
    for (const each of all) {
      const key = `${each.folder}/${each.name}`;
      byPlace.set(key, [...(byPlace.get(key) ?? []), each]);
    }
    const twice = [...byPlace.values()].filter((each) => each.length > 1);
    const texts = twice.map((each) => `${each[0]?.name} in ${each.map(({ version }) => version).join(" and ")}`);
    const [first] = texts;
    if (first === undefined) return pass(`${all.length} distributions, one version each`);
    return fail(first, {
      evidence: firstOf(twice.flat().map(({ info }) => `/${info}`)),
      hint: "install into an empty environment, and copy that one whole",
    });
  },
};

export const pythonEditable: StaticCheck = {
  id: "python.editable",
  title: "no editable install points to where nothing is",
  holds: "direct_url.json, .egg-link and .pth files name folders that are in the image.",
  why: "`pip install -e` leaves a pointer to the builder's folder: importlib.metadata still tells the version, and importing the app fails.",
  sources: ["PEP 610", "PEP 660", "measured: ModuleNotFoundError while importlib.metadata reports the version"],
  run: ({ facts }) => {
    const all = facts.derived(installedDistributions);
    const links = [...facts.files.values()].filter(({ path }) =>
      /\/(?:site|dist)-packages\/[^/]+\.(?:egg-link|pth)$/.test(path),
    );
    const dangling = [
      ...all.flatMap(({ name, directUrl }) => {
        const folder = directUrl?.editable ? folderOf(directUrl.url) : undefined;
        return folder !== undefined && !facts.find(folder) ? [`${name} points to ${folder}`] : [];
      }),
      ...links.flatMap((file) =>
        (textOf(file) ?? "")
          .split("\n")
          .map((line) => line.trim())
          .filter((line) => line.startsWith("/") && !facts.find(line))
          .map((line) => `/${file.path} points to ${line}`),
      ),
    ];
    if (all.length === 0 && links.length === 0) return notApplicable(noDistributions);
    const [first] = dangling;
    if (first === undefined) return pass("none dangles");
    return fail(`${first}, which is not in the image`, {
      evidence: firstOf(dangling),
      hint: "install it: pip install ., uv sync --no-editable",
    });
  },
};

/** The folder of a file URL; undefined for others. */
function folderOf(url: string): string | undefined {
  if (!URL.canParse(url) || !url.startsWith("file:")) return undefined;
  try {
    return decodeURIComponent(new URL(url).pathname);
  } catch {
    return undefined;
  }
}

export const pythonScripts: StaticCheck = {
  id: "python.scripts",
  title: "scripts find their interpreter",
  holds:
    "Every executable in a bin folder that begins with #! and a Python: that interpreter is in the image. What a package of Debian's brought may go without.",
  why: "Scripts carry the absolute path of the interpreter that installed them; copied from another stage or renamed, they end with `not found`.",
  sources: ["execve(2)", "virtual environments are not portable (venv)"],
  run: ({ facts, image }) => {
    const config = image.config.config ?? {};
    const scripts = [...facts.files.values()].filter(
      (file) => /(?:^|\/)bin\/[^/]+$/.test(file.path) && isExecutable(file),
    );
    const started = scripts.flatMap((file) => {
      const shebang = shebangOf(file);
      if (!shebang) return [];
      const isEnv = /(?:^|\/)env$/.test(shebang.interpreter);
      const name = isEnv ? ((shebang.argument ?? "").replace(/^-S\s+/, "").split(/\s/)[0] ?? "") : shebang.interpreter;
      return /(?:^|\/)python[\d.]*$/.test(name) ? [{ file, name }] : [];
    });
    if (started.length === 0) return notApplicable("there are no Python scripts");
    const packaged = facts.derived(packagedPaths);
    const broken = started.filter(({ file, name }) => {
      // Debian's packages suggest a Python for the odd script: iproute2's routel.
      if (packaged.has(file.path)) return false;
      const found = findProgram(facts, name, config);
      return !found || !isExecutable(found.file);
    });
    const [first] = broken;
    if (!first) return pass(`${started.length} scripts`);
    return fail(`/${first.file.path} starts with #!${first.name}, which is not in the image`, {
      evidence: firstOf(broken.map(({ file, name }) => `/${file.path}: ${name}`)),
      hint: "make the environment at the path where it runs, with the interpreter that runs it",
    });
  },
};
