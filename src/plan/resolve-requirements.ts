import * as fs from "node:fs";
import * as path from "node:path";

import type { Project } from "../project/project.ts";
import { resolveDistributions } from "../resolve/resolve.ts";
import type { Distribution, Target } from "../resolve/resolution.ts";
import { sha256 } from "../store/store.ts";
import type { PlanServices } from "./services.ts";

/** Resolves requirements (PEP 508) that no project lists, as wheels only. */
export async function resolveRequirements(
  requirements: string[],
  target: Target,
  services: PlanServices,
): Promise<Distribution[]> {
  const text = `${requirements.join("\n")}\n`;
  const root = path.join(services.store.root, "build-requirements", sha256(text).slice(7, 23));
  fs.mkdirSync(root, { recursive: true });
  fs.writeFileSync(path.join(root, "requirements.txt"), text);
  const { distributions } = await resolveDistributions(
    { project: requirementsProject(root), target, extras: [], groups: [], noBuild: true },
    services,
  );
  return distributions;
}

function requirementsProject(root: string): Project {
  return {
    root,
    directory: "",
    name: { value: "build", source: "build" },
    dependencyFiles: [{ kind: "requirements", file: "requirements.txt" }],
    extras: [],
    groups: [],
    apps: [],
    nearMisses: [],
    dockerfiles: [],
    services: [],
    files: [],
    withheld: [],
    config: {},
    scripts: {},
  };
}
