import { throwAll } from "../errors.ts";
import type { ParseRecords } from "../project/parse-records.ts";
import type { Project } from "../project/project.ts";
import { standardLibrary } from "../project/python/standard-library.ts";
import type { Resolution } from "../resolve/resolution.ts";
import { extrasWith, widened } from "./choose-extras.ts";
import type { ImageIntent } from "./choose-images.ts";
import type { Environment } from "./environment.ts";
import { importErrors } from "./import-errors.ts";
import { missingImports, type OwnCode } from "./own-code.ts";

export interface ImportCheck {
  project: Project;
  code: OwnCode;
  intent: ImageIntent;
  environment: Environment;
  start: string[];
  importRoots: string[];
  minor: string;
  /** Modules that the base image has beside the standard library. */
  inBase: string[];
  /** What another choice of extras and groups would install. */
  resolve: (other: ImageIntent) => Promise<Resolution>;
}

/**
 * Whether everything that the start imports is there; where an extra or group brings what is not, the image with that.
 * @throws SheafError SHEAF_IMPORT
 */
export async function checkImports(check: ImportCheck, records?: ParseRecords) {
  const { project, code, intent, environment, start, importRoots, minor, inBase, resolve } = check;
  const provided = new Set([
    ...standardLibrary(minor),
    ...inBase,
    ...environment.distributions.flatMap((each) => each.modules),
    ...(project.config["allow-missing"] ?? []),
    ...(intent.settings["allow-missing"] ?? []),
  ]);
  const missing = await missingImports(code, { start, importRoots, python: minor, provided }, records);
  // A task imports what it needs when it runs; an API that imports inside a function may well go without.
  const wanting = missing.filter(({ severity }) => severity === "error" || intent.role === "worker");
  const offers = await extrasWith({ project, intent, missing: wanting, resolve });
  const { extras, groups } = intent.settings;
  const wider = (extras ?? groups) ? undefined : widened(intent, wanting, offers);
  if (!wider) throwAll(importErrors(missing, { image: intent.name, start, project, offers }));
  return wider;
}
