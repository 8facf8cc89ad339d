import type { CheckAbout, StaticContext } from "../check.ts";
import type { Finding } from "../finding.ts";
import type { Session } from "./session.ts";

/** A check that needs the image running. */
export interface RunningCheck extends CheckAbout {
  run(context: RunningContext): Promise<Finding>;
}

export interface RunningContext extends StaticContext {
  /** As the person named it: a tag, a path, a reference. */
  name: string;
  /** Starts containers of the image. */
  session: Session;
  /** Aborted by Ctrl-C: everything that was started has to go. */
  signal: AbortSignal;
}
