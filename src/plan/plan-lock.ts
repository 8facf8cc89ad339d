import type { PlanOptions } from "./options.ts";
import { planTargets } from "./plan-targets.ts";
import { lockProject } from "../resolve/lock.ts";
import type { PlanServices } from "./services.ts";

export interface PlannedLock {
  image: string;
  /** The repository. */
  root: string;
  text: string;
  /** Where to, from the root; a file that somebody else wrote is never suggested. */
  file: string;
}

/** The resolution of each image as requirements with hashes, for every Python and platform that its files serve. */
export async function planLock(options: PlanOptions, services: PlanServices): Promise<PlannedLock[]> {
  const { project, targets } = await planTargets(options, services);
  const locks: PlannedLock[] = [];
  for (const { intent, target } of targets) {
    const { text, file } = await lockProject(
      {
        project,
        target,
        extras: intent.extras.value,
        groups: intent.groups.value,
        requirements: intent.requirements?.value,
        refresh: services.refresh,
      },
      services,
    );
    // One image's lock may be the project's; several need a name each.
    const suggested = targets.length === 1 ? file : `requirements/${intent.name}.lock.txt`;
    locks.push({ image: intent.name, root: project.root, text, file: suggested });
  }
  return locks;
}
