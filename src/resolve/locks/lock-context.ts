import type { Project } from "../../project/project.ts";
import type { Inputs } from "../inputs.ts";
import type { Target } from "../resolution.ts";

/** What every reader of a lock is told. */
export interface LockContext {
  /** The lock's path from the project's root. */
  file: string;
  inputs: Inputs;
  project: Project;
  target: Target;
  /** Normalised names of the chosen extras and dependency groups. */
  extras: string[];
  groups: string[];
}
