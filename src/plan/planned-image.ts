import type { BaseImage } from "../ingest/base/base-image.ts";
import type { Project } from "../project/project.ts";
import type { Environment } from "./environment.ts";
import type { ImagePlan } from "./image-plan.ts";

/** An image as planned: the plan itself, and the prepared parts that `assemble` puts together. */
export interface PlannedImage {
  plan: ImagePlan;
  environment: Environment;
  /** The project's modules that the start reaches, as paths in the image: compiled with the project's files. */
  reached: string[];
  /** Interpreter of this machine that compiles them. */
  compiler?: string;
  /** The image that it is built on, unless its base is composed. */
  base?: BaseImage;
}

export interface PlannedProject {
  project: Project;
  images: PlannedImage[];
}
