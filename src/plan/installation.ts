import * as path from "node:path";

import type { Project } from "../project/project.ts";
import { Inputs } from "../resolve/inputs.ts";
import { lockProject } from "../resolve/lock.ts";
import { sourceOf } from "../resolve/read-pins.ts";
import { readRequirements, type RequirementsSet } from "../resolve/requirements.ts";
import type { Distribution, Resolution } from "../resolve/resolution.ts";
import type { ResolveRequest } from "../resolve/request.ts";
import { readToml, table, tables, text, texts } from "../resolve/toml.ts";
import type { ImageIntent } from "./choose-images.ts";
import type { InstallPlan } from "./image-plan.ts";
import type { PlanServices } from "./services.ts";
import { byCodeUnit } from "../order.ts";

export interface InstallationRequest {
  project: Project;
  intent: ImageIntent;
  resolution: Resolution;
  /** Whether it is the project's only image. */
  single: boolean;
}

/**
 * How pip or uv would install what was resolved: from the project's own requirements where these have a hash for every
 * file, from its uv.lock, or from requirements that are written for it.
 */
export async function planInstallation(request: InstallationRequest, services: PlanServices): Promise<InstallPlan> {
  const { project, intent, resolution } = request;
  const inputs = new Inputs(project.root);
  const config = {
    bytecode: project.config.bytecode !== false,
    excluded: project.config.exclude ?? [],
    indexes: indexNames(project, inputs),
  };
  const chosen = { extras: intent.extras.value, groups: intent.groups.value };
  const asked: ResolveRequest = {
    project,
    target: resolution.target,
    ...chosen,
    requirements: intent.requirements?.value,
    refresh: services.refresh,
  };
  if (!intent.distributions) {
    const source = sourceOf(asked, inputs);
    if (source.kind === "requirements" && resolution.locked) {
      const reading = new Inputs(project.root);
      const requirements = readRequirements(source.files, reading, project.directory);
      const reads = [...Object.keys(reading.digests().files), ...localLinks(requirements)];
      if (pipTakes(requirements) && reads.every(isInside)) {
        return { ...config, kind: "requirements", files: source.files, reads, extras: [], groups: [] };
      }
    }
    if (source.kind === "uv.lock" && isSingleProject(source.file, project, inputs)) {
      const files = [path.posix.join(path.posix.dirname(source.file), "pyproject.toml"), source.file];
      return { ...config, kind: "uv.lock", files, reads: files, ...chosen };
    }
  }
  // What Sheaf chose instead of what uv would is written file by file.
  const text =
    intent.distributions || resolution.cpuBuilds?.kind === "taken"
      ? pinned(resolution.distributions)
      : withoutLocal((await lockProject(asked, services)).text);
  const name = request.single ? "requirements.lock" : `requirements-${intent.name}.lock`;
  const file = path.posix.join(project.directory, name);
  return { ...config, kind: "written", files: [file], reads: [file], extras: [], groups: [], text };
}

/** pip checks hashes of files only: a folder, or a file without a hash, is an error to it. */
function pipTakes({ entries }: RequirementsSet): boolean {
  return entries.every(({ editable, location, hashes }) => !editable && location === undefined && hashes.length > 0);
}

/** Folders of the repository in which pip looks for files. */
function localLinks({ findLinks }: RequirementsSet): string[] {
  return findLinks.filter((place) => !/^[a-z][a-z0-9+.-]*:/i.test(place));
}

/** Whether a build whose context is the repository can have it. */
function isInside(file: string): boolean {
  return !path.posix.isAbsolute(file) && !file.startsWith("../") && file !== "..";
}

/** Without members of a workspace and local dependencies: their folders would be needed, too. */
function isSingleProject(lock: string, project: Project, inputs: Inputs): boolean {
  if (path.posix.dirname(lock) !== (project.directory || ".")) return false;
  const document = readToml(inputs, lock) ?? {};
  if (texts(table(document["manifest"])["members"]).length > 1) return false;
  const local = tables(document["package"]).filter((each) => {
    const source = table(each["source"]);
    return ["editable", "virtual", "directory", "path"].some((key) => text(source[key]) !== undefined);
  });
  return local.length <= 1;
}

/** A hash of each file that was chosen: for the target, and nothing else. */
function pinned(distributions: readonly Distribution[]): string {
  return distributions
    .map(({ name, version, sha256 }) => `${name}==${version} \\\n    --hash=sha256:${sha256}\n`)
    .join("");
}

/** The project's own folders ship as files. */
function withoutLocal(lock: string): string {
  return lock
    .split("\n")
    .filter((line) => !/^(?:-e |# Written by )/.test(line))
    .join("\n");
}

/** `[[tool.uv.index]]`, `[[tool.poetry.source]]` and `[[tool.pdm.source]]` by their names. */
function indexNames(project: Project, inputs: Inputs): string[] {
  const tool = table((readToml(inputs, path.posix.join(project.directory, "pyproject.toml")) ?? {})["tool"]);
  const entries = [
    ...tables(table(tool["uv"])["index"]),
    ...tables(table(tool["poetry"])["source"]),
    ...tables(table(tool["pdm"])["source"]),
  ];
  const names = entries.map((entry) => text(entry["name"])).filter((name) => name !== undefined);
  return [...new Set(names)].toSorted(byCodeUnit);
}
