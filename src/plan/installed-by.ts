import type { DockerfileEvidence, Project, Sourced } from "../project/project.ts";

/** What a service's own Dockerfile installs, as far as the project offers it. */
export interface Installed {
  extras: Sourced<string[]>;
  groups: Sourced<string[]>;
  /** requirements files; undefined when there is a lock, which tells more, or when none is named. */
  requirements?: Sourced<string[]>;
  /** Requirements (PEP 508) that it names one by one, when it installs nothing else. */
  packages?: Sourced<string[]>;
}

/** Names that say that a thing is for those who work on the project. */
const development =
  /(?:^|[-_./])(?:dev|develop|development|tests?|testing|docs?|lint(?:ers?)?|ci|local|typing|types|bench|pre-?commit)(?:[-_.]|$)/i;

const lockKinds = new Set(["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock"]);

/**
 * Extras, groups and requirements files that a Dockerfile installs, without those for development; groups also from what
 * the project installs by default.
 */
export function installedBy(project: Project, dockerfile: DockerfileEvidence | undefined): Installed {
  const installs = dockerfile?.installs ?? [];
  const named = (prefix: string, known: string[]) =>
    installs
      .filter(({ value }) => value.startsWith(prefix) && known.includes(value.slice(prefix.length)))
      .map(({ value, source }) => ({ value: value.slice(prefix.length), source }))
      .filter(({ value }) => !development.test(value));
  const extras = named("extra:", project.extras);
  const groups = named("group:", project.groups);
  for (const value of project.defaultGroups?.value ?? []) {
    if (project.groups.includes(value) && !development.test(value))
      groups.push({ value, source: project.defaultGroups?.source ?? "" });
  }
  const packages = installs.map(({ value, source }) => ({ value: value.replace(/^package:/, ""), source }));
  return {
    extras: together(extras),
    groups: together(groups),
    requirements: requirementsOf(project, installs),
    ...(installs.length > 0 && installs.every(({ value }) => value.startsWith("package:"))
      ? { packages: together(packages) }
      : {}),
  };
}

function requirementsOf(project: Project, installs: Sourced<string>[]): Sourced<string[]> | undefined {
  if (project.dependencyFiles.some(({ kind }) => lockKinds.has(kind))) return undefined;
  const files = new Set(project.dependencyFiles.filter(({ kind }) => kind === "requirements").map(({ file }) => file));
  const installed = installs.filter(({ value }) => files.has(value));
  const production = installed.filter(({ value }) => !development.test(value.slice(project.directory.length)));
  const chosen = together(production.length > 0 ? production : installed);
  return chosen.value.length > 0 ? chosen : undefined;
}

function together(found: Sourced<string>[]): Sourced<string[]> {
  const value = [...new Set(found.map((each) => each.value))];
  return value.length === 0 ? { value, source: "default" } : { value, source: found[0]?.source ?? "default" };
}
