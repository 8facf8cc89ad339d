import type { Emit } from "../events.ts";
import type { Fetcher } from "../fetch/fetcher.ts";
import type { Project } from "../project/project.ts";
import type { Store } from "../store/store.ts";
import type { IndexSettings } from "./index-config.ts";
import type { Inputs } from "./inputs.ts";
import type { Distribution, Target } from "./resolution.ts";

export interface ResolveRequest {
  project: Project;
  target: Target;
  extras: string[];
  groups: string[];
  /** requirements files, from the project's root, to use instead of what is detected. */
  requirements?: string[];
  /** Refuses distributions that have an sdist only. */
  noBuild?: boolean;
  /** The image has no GPU: builds for the CPU are taken where they can be had. */
  cpuOnly?: boolean;
  /** Looks up and resolves anew instead of taking what the store knows. */
  refresh?: boolean;
  /**
   * Told of each distribution as soon as its file is chosen, so that fetching may begin while others are still looked up.
   * Not called for what the store knows already.
   */
  onDistribution?: (distribution: Distribution) => void;
}

export interface ResolveServices {
  store: Store;
  fetcher: Fetcher;
  emit: Emit;
}

/** What reading a source of pins needs beside the request. */
export interface ReadContext {
  services: ResolveServices;
  inputs: Inputs;
  settings: IndexSettings;
}
