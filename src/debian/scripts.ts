import type { DebEffect } from "./effects.ts";
import type { ControlMembers } from "./install-deb.ts";

export interface ScriptOptions {
  name: string;
  control: ControlMembers;
  /** Passes over the scripts whatever they do. */
  ignore: boolean;
}

/** What a package's maintainer scripts and triggers would do when it is installed into an empty root. */
export function scriptEffects({ control }: ScriptOptions): DebEffect[] {
  return triggerEffects(control);
}

function triggerEffects(control: ControlMembers): DebEffect[] {
  const text = Buffer.from(control.get("triggers") ?? []).toString("utf8");
  return /^activate(-noawait|-await)?\s+ldconfig\s*$/m.test(text) ? [{ kind: "ldconfig" }] : [];
}
