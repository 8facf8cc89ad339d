import type { Project } from "../project/project.ts";
import { readProject } from "../project/read-project.ts";
import { chooseImages } from "./choose-images.ts";
import type { ImageSketch } from "./image-plan.ts";
import { choosePlatform, type PlanOptions } from "./options.ts";
import { type OwnCode, readOwnCode } from "./own-code.ts";
import { Planner } from "./plan-images.ts";
import type { PlanServices } from "./services.ts";

/** How the images of a project run, without what they are made of: nothing but indexes and locks is fetched. */
export async function sketchImages(
  options: PlanOptions,
  services: PlanServices,
): Promise<{ project: Project; code: OwnCode; images: ImageSketch[] }> {
  const project = await readProject(options.directory, { app: options.app, records: services.store });
  const platform = choosePlatform(options.platform, project);
  const intents = chooseImages(project, { names: options.images });
  const code = readOwnCode(project);
  const planner = new Planner({ project, platform, options, intents, code, fetchesEarly: false }, services);
  const images: ImageSketch[] = [];
  for (const intent of intents) if (!(await planner.lacksFlower(intent))) images.push(await planner.sketch(intent));
  return { project, code, images };
}
