import type { Emit } from "../../events.ts";
import { formatSeconds } from "../../units.ts";
import type { Contract } from "../contract.ts";
import { takenNow } from "../running/busy-machine.ts";
import { type Builder, BuildFailed, type Rebuilt } from "./builder.ts";
import type { Leaf } from "./leaf-distributions.ts";
import type { ProjectCopy } from "./project-copy.ts";
import { withoutDependency } from "./without-dependency.ts";

/** Builds of a project, each after the one before: what is in a cache for one was put there by another. */
export type BuildStep = "clean" | "cached" | "anew" | "code" | "dependency";

/** What came of a step. `absent`: it can't be tried, for this reason. */
export type StepResult = Measured | { failed: string; evidence: string[] } | { absent: string };

export interface Measured extends Rebuilt {
  /** What was changed before it: `a comment at the end of app/main.py`. */
  change?: string;
  /** Names of the layers that the build before did not have. */
  newLayers: string[];
}

export interface RebuildOptions {
  builder: Builder;
  /** A copy that only this one builds. */
  project: ProjectCopy;
  /** Seconds of the contract, from which follows when a build is stopped. */
  limits: Contract["build"];
  /** Spellings of the module that starts: `app.main`. */
  startModules: readonly string[];
  /** What may be left out of the dependencies. */
  leaves: readonly Leaf[];
  /** Told of each build that has ended. */
  emit: Emit;
  /** Share of this machine's processors that others take, 0 to 1. */
  taken?: () => Promise<number>;
  signal: AbortSignal;
}

/** Of what could be left out, so many are tried. */
const mostTried = 3;

/** One project under one builder: every step is built once, when it is first asked for, after the steps that it follows. */
export class Rebuild {
  readonly builder: Builder;
  readonly taken: () => Promise<number>;
  readonly #options: RebuildOptions;
  readonly #results = new Map<BuildStep, Promise<StepResult>>();
  #before: Rebuilt | undefined;

  constructor(options: RebuildOptions) {
    this.builder = options.builder;
    this.taken = options.taken ?? takenNow;
    this.#options = options;
  }

  step(step: BuildStep): Promise<StepResult> {
    const known = this.#results.get(step);
    if (known) return known;
    const result = this.#follow(step);
    this.#results.set(step, result);
    return result;
  }

  async #follow(step: BuildStep): Promise<StepResult> {
    const previous = follows[step];
    if (previous !== undefined) {
      const result = await this.step(previous);
      // Without a first build there is nothing to compare with; one that could not be changed is as good as unchanged.
      if ("failed" in result) return { absent: `the ${titles[previous]} build failed` };
      if ("absent" in result && previous !== "code") return result;
    }
    this.#options.signal.throwIfAborted();
    switch (step) {
      case "clean":
        return this.#build({ cache: "nothing", limit: "clean" });
      case "cached":
        return this.#build({ cache: "all", limit: "cached" });
      case "anew":
        return this.#build({ cache: "downloads", limit: "clean" });
      case "code":
        return this.#changeCode();
      case "dependency":
        return this.#changeDependency();
    }
  }

  async #changeCode(): Promise<StepResult> {
    const { project, startModules } = this.#options;
    const file = sourceOf(startModules, project);
    if (file === undefined)
      return { absent: `the source of ${startModules[0] ?? "what starts"} was not found in the project` };
    const text = project.text(file) ?? "";
    project.write(file, `${text}${text.endsWith("\n") ? "" : "\n"}# changed to see how long a build takes\n`);
    return this.#build({ cache: "all", limit: "code", change: `a comment at the end of ${file}` });
  }

  async #changeDependency(): Promise<StepResult> {
    const { project, leaves } = this.#options;
    const refusals: string[] = [];
    let tried = 0;
    for (const leaf of leaves) {
      const changes = changesFor(leaf, project);
      if (typeof changes === "string") refusals.push(changes);
      if (typeof changes === "string" || changes.size === 0) continue;
      const before = new Map([...changes.keys()].map((file) => [file, project.text(file) ?? ""]));
      for (const [file, text] of changes) project.write(file, text);
      const change = `${leaf.name} ${leaf.version} left out of ${[...changes.keys()].join(", ")}`;
      const result = await this.#build({ cache: "all", limit: "dependency", change });
      if (!("failed" in result) || ++tried === mostTried) return result;
      for (const [file, text] of before) project.write(file, text);
    }
    return { absent: refusals[0] ?? "no dependency was found that the project builds without" };
  }

  async #build({ cache, limit, change }: BuildPlan): Promise<StepResult> {
    const { builder, project, limits, emit, signal } = this.#options;
    const timeoutMs = (limits[limit] * patience + 60) * 1000;
    try {
      const rebuilt = await builder.build(project.folder, { cache, timeoutMs });
      const known = new Set(this.#before?.layers.map(({ diffId }) => diffId));
      this.#before = rebuilt;
      const message = `${builder.name}, ${change ?? (cache === "nothing" ? "clean" : "nothing changed")}`;
      emit({ type: "stage", stage: "rebuild", message, seconds: rebuilt.seconds });
      const newLayers = rebuilt.layers.filter(({ diffId }) => !known.has(diffId)).map(({ name }) => name);
      return { ...rebuilt, newLayers, ...(change === undefined ? {} : { change }) };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BuildFailed)) throw error;
      return {
        failed: `${builder.name}: ${error.message}`,
        evidence: [...(change === undefined ? [] : [`changed: ${change}`]), ...error.evidence],
      };
    }
  }
}

interface BuildPlan {
  cache: "nothing" | "downloads" | "all";
  limit: keyof Contract["build"];
  change?: string;
}

const follows: Record<BuildStep, BuildStep | undefined> = {
  clean: undefined,
  cached: "clean",
  anew: "cached",
  code: "cached",
  dependency: "code",
};

const titles: Record<BuildStep, string> = {
  clean: "clean",
  cached: "second",
  anew: "repeated",
  code: "changed",
  dependency: "changed",
};

/** How many times its limit a build may take before it is stopped: how much too slow it is, is worth a while. */
const patience = 2;

/** The file of a module, from the root or below a folder that imports begin in. */
function sourceOf(modules: readonly string[], { files }: ProjectCopy): string | undefined {
  for (const module of modules) {
    const path = module.replaceAll(".", "/");
    const ends = [`${path}.py`, `${path}/__init__.py`];
    const found = files
      .filter((file) => ends.some((end) => file === end || file.endsWith(`/${end}`)))
      .toSorted((a, b) => a.length - b.length)[0];
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Every file that names it, as it is without it; a text when one of them can't be changed. */
function changesFor({ name }: Leaf, project: ProjectCopy): Map<string, string> | string {
  const changes = new Map<string, string>();
  for (const file of project.files.filter((each) => /\.(?:txt|in|toml|lock)$/.test(each))) {
    const removal = withoutDependency(file, project.text(file) ?? "", name);
    if (removal && "refused" in removal) return removal.refused;
    if (removal) changes.set(file, removal.text);
  }
  return changes;
}

/** `0.21 s, sheaf build`. */
export function measuredText({ seconds }: Measured, { name }: Builder): string {
  return `${formatSeconds(seconds)}, ${name}`;
}
