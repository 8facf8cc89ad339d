import type { Project } from "../project/project.ts";
import { readProject } from "../project/read-project.ts";
import type { Target } from "../resolve/resolution.ts";
import { chooseImages, type ImageIntent } from "./choose-images.ts";
import { choosePlatform, type PlanOptions } from "./options.ts";
import { Planner } from "./plan-images.ts";
import type { PlanServices } from "./services.ts";

/** Only what a resolution needs to know of each image: for `sheaf lock`. */
export async function planTargets(
  options: PlanOptions,
  services: PlanServices,
): Promise<{ project: Project; targets: { intent: ImageIntent; target: Target }[] }> {
  const project = await readProject(options.directory, { app: options.app, records: services.store });
  const platform = choosePlatform(options.platform, project);
  const intents = chooseImages(project, { names: options.images });
  const planner = new Planner(
    { project, platform, options, intents, code: { sources: new Map(), key: "" }, fetchesEarly: false },
    services,
  );
  const targets: { intent: ImageIntent; target: Target }[] = [];
  for (const intent of intents.filter(({ kind }) => kind === "python"))
    targets.push({ intent, target: await planner.target() });
  return { project, targets };
}
