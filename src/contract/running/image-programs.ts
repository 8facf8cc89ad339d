import type { RuntimeConfig } from "../../oci/types.ts";
import type { ImageFacts } from "../facts/image-facts.ts";
import { findProgram, isExecutable } from "../facts/programs.ts";

/** A program of the image by its name, as PATH finds it; its absolute path. */
export function programIn(facts: ImageFacts, config: RuntimeConfig, ...names: string[]): string | undefined {
  for (const name of names) {
    const found = findProgram(facts, name, config);
    if (found && isExecutable(found.file)) return `/${found.path.replace(/^\/+/, "")}`;
  }
  return undefined;
}

export function pythonIn(facts: ImageFacts, config: RuntimeConfig): string | undefined {
  return programIn(facts, config, "python3", "python");
}
