import type { Image } from "../oci/image.ts";
import type { Contract } from "./contract.ts";
import type { DockerfileFacts } from "./dockerfile-facts.ts";
import type { ImageFacts } from "./facts/image-facts.ts";
import type { Finding } from "./finding.ts";

/** The namespaces of ids, in the order in which they are shown. */
export const groups = [
  "format",
  "config",
  "files",
  "python",
  "native",
  "gpu",
  "size",
  "scanner",
  "dockerfile",
  "runtime",
  "rebuild",
  "custom",
] as const;
export type Group = (typeof groups)[number];

/** A promise that an image can break. */
export interface CheckAbout {
  /** `group.thing`, stable: baselines and contracts name it. */
  id: string;
  /** What is fine when it passes: `the user is a number that is not root`. */
  title: string;
  /** What exactly is compared with what, for `--explain`. */
  holds: string;
  /** Why that matters: what breaks otherwise. */
  why: string;
  /** Where that is written: specifications, manuals, issues. */
  sources: readonly string[];
}

/** A check that needs the image's bytes alone. */
export interface StaticCheck extends CheckAbout {
  run(context: StaticContext): Finding | Promise<Finding>;
}

export interface StaticContext {
  image: Image;
  facts: ImageFacts;
  contract: Contract;
  /** Of `--dockerfile`. */
  dockerfile?: DockerfileFacts;
}

export function groupOf(id: string): Group {
  const group = groups.find((each) => id.startsWith(`${each}.`));
  if (!group) throw new Error(`the check ${id} is in no group`);
  return group;
}
