import type { DebianArchive } from "../debian/archive.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import type { Platform } from "../platform.ts";
import type { Project } from "../project/project.ts";
import type { ChosenBase } from "./base-image.ts";
import type { ImagePlan } from "./image-plan.ts";
import type { PlanOptions } from "./options.ts";
import type { PlanServices } from "./services.ts";

export interface BaseRequest {
  project: Project;
  platform: Platform;
  options: PlanOptions;
}

/** The base as a plan tells of it, where it is composed of packages. */
export function composedBase(archive: DebianArchive, shell: boolean): ImagePlan["base"] {
  return {
    kind: "debian",
    codename: archive.codename,
    version: archive.version || archive.codename,
    signedAt: archive.signedAt,
    shell,
    source: "apt configuration of this machine",
  };
}

/** The base image that a flag or the configuration names. Its code is loaded only then. */
export async function chooseBase({ project, options, platform }: BaseRequest, services: PlanServices) {
  const wanted = options.base ?? project.config.base;
  if (wanted === undefined || wanted === "debian") return undefined;
  const { openBase } = await import("./base-image.ts");
  const source = options.base === undefined ? `${project.configFile ?? "config"} base` : "--base";
  const folder = options.base === undefined ? project.root : process.cwd();
  return openBase({ wanted, source, folder, platform }, services);
}

/** What is different over a base. */
export async function planOver(base: ChosenBase, archive: DebianArchive, choice: InterpreterChoice) {
  const { overBase } = await import("./over-base.ts");
  return overBase(base, { archive, choice });
}

/** The packages of Debian's own Python. */
export async function debianParts(archive: DebianArchive, choice: InterpreterChoice) {
  const { debianPythonPackages } = await import("../debian/python.ts");
  const parts = debianPythonPackages(archive, choice.minor);
  if (!parts) throw new Error(`${archive.codename} offered Python ${choice.minor} and has no packages of it`);
  return parts;
}
