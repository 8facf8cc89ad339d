import * as fs from "node:fs";
import * as path from "node:path";

import type { Emit } from "../../events.ts";
import type { Image } from "../../oci/image.ts";
import { kindOf } from "../../oci/history.ts";
import type { Contract } from "../contract.ts";
import type { ImageFacts } from "../facts/image-facts.ts";
import { startModuleOf } from "../facts/start-module.ts";
import { locateDockerfile, readDockerfileFacts } from "../read-dockerfile.ts";
import type { Builder } from "./builder.ts";
import { leafDistributions } from "./leaf-distributions.ts";
import { copyProject } from "./project-copy.ts";
import { Rebuild } from "./rebuild.ts";

export interface OpenRebuildsOptions {
  /** The folder of the project, absolute. */
  project: string;
  image: Image;
  facts: ImageFacts;
  contract: Contract;
  /** Image of the project that it is, where that is known. */
  imageName?: string;
  /** As the person named it. */
  dockerfile?: string;
  /** Its stage that is built; the last one unless given. */
  target?: string;
  /** What Dockerfiles are built with; the first that answers unless given. */
  engine?: "docker" | "podman";
  /** The words that start this command line again. */
  program: readonly string[];
  /** Makes an empty folder that goes with the process. */
  temporary: (prefix: string) => string;
  emit: Emit;
  signal: AbortSignal;
}

export interface OpenedRebuilds {
  rebuilds: Rebuild[];
  close(): Promise<void>;
}

/**
 * The ways in which a project's image is built: by `sheaf build` where Sheaf built the image, by `docker build` where a Dockerfile
 * is given, or where something else built the image and the project has one. Nothing is built so far.
 * @returns the reason why there is none
 * @throws SheafError SHEAF_NO_DOCKERFILE, SHEAF_NO_PROJECT, SHEAF_REBUILD
 */
export async function openRebuilds(options: OpenRebuildsOptions): Promise<OpenedRebuilds | string> {
  const { project, image, facts, contract, signal, temporary, emit } = options;
  const isSheaf = image.config.history?.some((entry) => kindOf(entry) !== "base") === true;
  const dockerfile = options.dockerfile ?? (isSheaf ? undefined : dockerfileOf(project));
  if (!isSheaf && dockerfile === undefined)
    return `Sheaf did not build the image, and ${project} has no Dockerfile: name one with --dockerfile`;
  const config = image.config.config ?? {};
  const shared = {
    limits: contract.build,
    startModules: startModuleOf(config)?.modules ?? [],
    leaves: leafDistributions(facts, config),
    emit,
    signal,
  };
  const builders: Builder[] = [];
  const rebuilds: Rebuild[] = [];
  const add = (builder: Builder, dockerIgnore?: string): void => {
    builders.push(builder);
    const copy = copyProject({
      from: project,
      into: temporary("rebuild"),
      ...(dockerIgnore === undefined ? {} : { dockerIgnore }),
    });
    rebuilds.push(new Rebuild({ builder, project: copy, ...shared }));
  };
  // Asked first: a way to build that can't be tried is no way that passed.
  const docker = dockerfile === undefined ? undefined : await openDocker(dockerfile, options);
  if (typeof docker === "string") return docker;
  if (isSheaf) {
    const { sheafBuilder } = await import("./sheaf-builder.ts");
    const { imageName, program } = options;
    const store = temporary("rebuild-store");
    add(sheafBuilder({ program, store, ...(imageName === undefined ? {} : { image: imageName }) }));
  }
  if (docker) add(docker.builder, docker.ignore);
  return {
    rebuilds,
    close: async () => void (await Promise.all(builders.map((builder) => builder.close()))),
  };
}

function dockerfileOf(project: string): string | undefined {
  const file = path.join(project, "Dockerfile");
  return fs.existsSync(file) ? file : undefined;
}

async function openDocker(
  file: string,
  { project, engine, target }: OpenRebuildsOptions,
): Promise<{ builder: Builder; ignore: string } | string> {
  const { at, root } = locateDockerfile(file, project);
  if (isOutside(project, at) || isOutside(project, root)) return `${file} is not in ${project}`;
  const { ignore } = readDockerfileFacts(file, project, target);
  const [{ findDockerClient }, { dockerBuilder }] = await Promise.all([
    import("./find-docker.ts"),
    import("./docker-builder.ts"),
  ]);
  const client = await findDockerClient(engine);
  if (!client) return "docker build can't be tried: neither Docker nor Podman answers";
  const builder = dockerBuilder({
    dockerfile: path.relative(root, at),
    context: path.relative(project, root),
    client,
    ...(target === undefined ? {} : { target }),
    hasCacheMounts: /^[^#\n]*--mount=\S*type=cache/m.test(fs.readFileSync(at, "utf8")),
  });
  return { builder, ignore: ignore?.text ?? "" };
}

function isOutside(folder: string, file: string): boolean {
  return path.relative(folder, file).startsWith("..");
}
