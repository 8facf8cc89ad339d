import type { Dockerfile, Stage } from "../project/evidence/dockerfile.ts";

/** A Dockerfile and the ignore file that its build takes. */
export interface DockerfileFacts {
  /** As the person named it. */
  file: string;
  parsed: Dockerfile;
  /** The stage that the image was built of; the last one unless given. */
  target?: Stage;
  /** The ignore file beside the context, undefined when there is none. */
  ignore?: { file: string; text: string };
  /** Paths of the build context, from its root, as it lies on disk. */
  context: readonly string[];
}
