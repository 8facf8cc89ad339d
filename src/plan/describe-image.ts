import { parseSize } from "../project/config/parse-size.ts";
import type { Project, Sourced } from "../project/project.ts";
import type { Resolution } from "../resolve/resolution.ts";
import type { Store } from "../store/store.ts";
import { type AppFiles, placeFiles } from "./app-files.ts";
import type { ImageIntent } from "./choose-images.ts";
import { planGpu } from "./gpu/cuda-release.ts";
import { chooseHealth } from "./health.ts";
import type { ImagePlan } from "./image-plan.ts";
import type { OverBase } from "./over-base.ts";
import { serverCommand } from "./server-command.ts";
import { chooseWorkdir, imageSettings } from "./settings.ts";
import { writableFolders } from "./writable-folders.ts";

export interface DescribeRequest {
  project: Project;
  intent: ImageIntent;
  resolution: Resolution;
  /** The project's Python, path from the root → source. */
  sources: ReadonlyMap<string, string>;
  store: Store;
  /** APP_ENV as a build argument. */
  appEnv?: Sourced<string>;
  /** Name of the base, as in `debian:bookworm`. */
  base: string;
  over?: OverBase;
}

/** How an image runs: all of its plan that depends on the repository, and not on what its packages turn out to be. */
export interface DescribedImage {
  placed: AppFiles;
  run: Pick<ImagePlan, "name" | "role" | "project" | "gpu" | "user" | "writable" | "config" | "budget">;
}

export function describeImage(request: DescribeRequest): DescribedImage {
  const { project, intent, resolution, over } = request;
  const { config } = project;
  const command = intent.command ?? serverCommand(intent, resolution);
  const workdir = chooseWorkdir(intent);
  const inProject = placeFiles({ project, intent, workdir: workdir.value, store: request.store });
  const placed = over ? { ...inProject, files: over.place(inProject.files) } : inProject;
  const wanted = { name: config.user ?? "appuser", uid: config.uid ?? 10001, gid: config.uid ?? 10001 };
  const user = over ? over.user(wanted, config.uid !== undefined) : wanted;
  const shell = config.shell ?? true;
  const probe = chooseHealth({ intent, sources: request.sources, port: intent.port, shell, ...over?.tools });
  const gpu = intent.settings.gpu && planGpu(intent.name, intent.settings.gpu, resolution.distributions);
  const settings = imageSettings({
    project,
    intent,
    command,
    workdir,
    importRoots: placed.importRoots,
    appEnv: request.appEnv,
    port: intent.port,
    health: over ? over.probe(probe) : probe,
    base: request.base,
    user,
    gpu,
  });
  return {
    placed,
    run: {
      name: intent.name,
      role: intent.role,
      project: { name: project.name.value, version: project.version?.value },
      ...(gpu ? { gpu: { value: gpu, source: `config images.${intent.name}.gpu` } } : {}),
      user: { value: user, source: config.uid || config.user ? "config" : "default" },
      writable: writableFolders(
        [...(config.writable ?? []), ...(intent.settings.writable ?? [])],
        command.value,
        workdir.value,
      ),
      config: over ? over.config(settings) : settings,
      budget: budgetOf(intent),
    },
  };
}

/** The size that the image must not exceed. */
export function budgetOf({ settings }: ImageIntent): Sourced<number> | undefined {
  const value = settings.budget === undefined ? undefined : parseSize(settings.budget);
  return value === undefined ? undefined : { value, source: "config" };
}
