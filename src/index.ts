import { assemble, type BuiltImage } from "./assemble/assemble.ts";
import { saveImage, withTag } from "./assemble/stored-images.ts";
import { type Emit, silent } from "./events.ts";
import { createFetcher } from "./fetch/create-fetcher.ts";
import { writeDockerArchive } from "./oci/docker-archive.ts";
import { writeLayout } from "./oci/layout.ts";
import { defaultName } from "./plan/default-name.ts";
import type { PlanOptions } from "./plan/options.ts";
import { planImages } from "./plan/plan-images.ts";
import type { PlannedProject } from "./plan/planned-image.ts";
import type { PlanServices } from "./plan/services.ts";
import { openStore } from "./store/store.ts";
import { defaultStoreRoot } from "./store/store-root.ts";
import { createWorkerPool } from "./workers/pool.ts";
import { tasks } from "./workers/tasks.ts";

export { SheafError, SheafErrors } from "./errors.ts";
export type { Emit, SheafEvent } from "./events.ts";
export type { ImagePlan } from "./plan/image-plan.ts";
export type { PlanOptions } from "./plan/options.ts";
export type { PlannedImage, PlannedProject } from "./plan/planned-image.ts";
export type { BuiltImage, BuiltLayer } from "./assemble/assemble.ts";
export { writeDockerArchive, writeLayout };

/** Where Sheaf works, and what it tells. */
export interface Session {
  /** The store; SHEAF_CACHE_DIR or the user's cache folder unless given. */
  cacheDir?: string;
  /** Use only what the store holds. */
  offline?: boolean;
  /** Look at package indexes and unlocked inputs anew. */
  refresh?: boolean;
  /** Called with what goes on. */
  onEvent?: Emit;
}

export type PlanRequest = Partial<PlanOptions> & Session;

export interface BuildRequest extends PlanRequest {
  /** Tag of the only image; `PROJECT-IMAGE:latest` unless given. */
  tag?: string;
}

export interface BuildResult extends BuiltImage {
  /** Name of the image in the project: `api`. */
  name: string;
  reference: string;
}

/**
 * Plans the images of a repository: what would be built, and where each value comes from.
 * @throws SheafError for everything that a person has to mend
 */
export function plan(request: PlanRequest = {}): Promise<PlannedProject> {
  return withServices(request, (services) => planImages(optionsOf(request), services));
}

/**
 * Builds the images of a repository into the store. `writeLayout` and `writeDockerArchive` write them out.
 * @throws SheafError for everything that a person has to mend
 */
export function build(request: BuildRequest = {}): Promise<BuildResult[]> {
  return withServices(request, async (services) => {
    const { project, images } = await planImages(optionsOf(request), services);
    const results: BuildResult[] = [];
    for (const planned of images) {
      const name = planned.plan.name;
      const reference = withTag(
        images.length === 1 && request.tag ? request.tag : defaultName(project.name.value, name),
      );
      const built: BuiltImage = await assemble(planned, project.root, services.store);
      saveImage(services.store, reference, { built, plan: planned.plan, root: project.root });
      results.push({ ...built, name, reference });
    }
    return results;
  });
}

function optionsOf(request: PlanRequest): PlanOptions {
  return { ...request, directory: request.directory ?? "." };
}

async function withServices<T>(session: Session, action: (services: PlanServices) => Promise<T>): Promise<T> {
  const { offline = false, refresh = false, onEvent: emit = silent } = session;
  const store = openStore(session.cacheDir ?? defaultStoreRoot());
  const fetcher = createFetcher({ store, emit, offline });
  const pool = createWorkerPool({ tasks });
  try {
    return await action({ store, fetcher, tasks: pool.tasks, emit, offline, refresh });
  } finally {
    await pool.close();
    await fetcher.close();
    store.dispose();
  }
}
