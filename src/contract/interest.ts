import type { RuntimeConfig } from "../oci/types.ts";
import type { Contract } from "./contract.ts";
import type { Interest } from "./facts/content-rules.ts";
import { startModuleOf } from "./facts/start-module.ts";

/** What the checks of a contract will ask of the image's files. */
export function interestOf({ checks }: Contract, config: RuntimeConfig): Interest {
  const modules = startModuleOf(config)?.modules ?? [];
  return {
    startModules: new Set(modules.map((module) => module.split(".")[0] ?? module)),
    files: new Set(
      Object.values(checks).flatMap(({ file, output }) =>
        file === undefined || output === undefined ? [] : [file.replace(/^\/+/, "")],
      ),
    ),
  };
}
