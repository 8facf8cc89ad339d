import type { StaticCheck } from "./check.ts";

/** Every check that needs the image's bytes alone, in the order in which they are shown. */
export const staticChecks: readonly StaticCheck[] = [];
