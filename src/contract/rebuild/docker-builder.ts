import { randomBytes } from "node:crypto";
import * as path from "node:path";

import { type Builder, BuildFailed, type BuildRequest, type Rebuilt, type RebuiltLayer } from "./builder.ts";
import { BuildProcesses } from "./run-build.ts";

export interface DockerBuilderOptions {
  /** From the context: `Dockerfile`, `docker/Dockerfile`. */
  dockerfile: string;
  /** The context, from the project's root; empty where it is the root. */
  context: string;
  /** The stage that is built; the last one unless given. */
  target?: string;
  /** The client, and how it builds. */
  client: DockerClient;
  /** Whether RUN instructions mount caches, which no option empties for one build. */
  hasCacheMounts: boolean;
  environment?: NodeJS.ProcessEnv;
}

export interface DockerClient {
  program: string;
  kind: "docker" | "podman";
  /** Whether BuildKit builds; podman has a builder of its own. */
  isBuildKit: boolean;
}

/** `docker build`. Every build has a tag of its own, which goes with the builder; what engines cache of steps stays, as after any build. */
export function dockerBuilder({
  dockerfile,
  context,
  target,
  client,
  hasCacheMounts,
  environment = process.env,
}: DockerBuilderOptions): Builder {
  const { program, kind, isBuildKit } = client;
  const processes = new BuildProcesses();
  const repository = `sheaf-rebuild-${randomBytes(6).toString("hex")}`;
  const tags: string[] = [];
  const env = { ...environment, DOCKER_BUILDKIT: isBuildKit ? "1" : "0", BUILDKIT_PROGRESS: "plain" };
  const ask = async (words: string[], folder: string): Promise<string> =>
    (await processes.run({ words: [program, ...words], folder, environment: env, timeoutMs: askTimeoutMs })).stdout;
  return {
    name: `${kind} build`,
    given: `base images were there${hasCacheMounts ? ", and so was what RUN --mount=type=cache keeps" : ""}`,
    isReproducible: false,
    look: `${kind} build ${isBuildKit ? "--progress=plain " : ""}.`,
    async build(project: string, { cache, timeoutMs }: BuildRequest): Promise<Rebuilt> {
      const folder = path.join(project, context);
      const tag = `${repository}:${tags.length + 1}`;
      tags.push(tag);
      const words = [
        program,
        ...["build", "--tag", tag, "--file", dockerfile],
        ...(target === undefined ? [] : ["--target", target]),
        ...(cache === "all" ? [] : ["--no-cache"]),
        ...(kind === "podman" ? ["--layers", "--format", "docker"] : []),
        ".",
      ];
      const { seconds } = await processes.run({ words, folder, environment: env, timeoutMs });
      const id = (await ask(["image", "inspect", "--format", "{{.Id}}", tag], folder)).trim();
      return { seconds, digest: id, layers: await layersOf(tag, (words) => ask(words, folder)) };
    },
    async close() {
      await processes.close();
      if (tags.length === 0) return;
      const words = [program, "image", "rm", "--force", ...tags];
      // Processes of its own: those of the builder take nothing more once they are closed.
      await new BuildProcesses()
        .run({ words, folder: "/", environment: env, timeoutMs: askTimeoutMs })
        // A build that failed has left no image under its tag.
        .catch(() => undefined);
    },
  };
}

const askTimeoutMs = 60_000;

/** The layers with the instruction that made each, as the image's history tells. */
async function layersOf(tag: string, ask: (words: string[]) => Promise<string>): Promise<RebuiltLayer[]> {
  const diffIds = JSON.parse(await ask(["image", "inspect", "--format", "{{json .RootFS.Layers}}", tag])) as unknown;
  if (!Array.isArray(diffIds)) throw new BuildFailed(`the engine tells no layers of ${tag}`);
  const history = await ask(["history", "--no-trunc", "--format", "{{.Size}}\t{{.CreatedBy}}", tag]);
  const made = history
    .trim()
    .split("\n")
    .toReversed()
    .map((line) => line.split("\t"))
    // Of an instruction without files Docker says `0B`, and Podman `0 B`; some such are layers all the same, which the count tells.
    .filter(
      ([size, by = ""]) =>
        !/^0 ?B$/.test(size ?? "") || /\b(?:RUN|COPY|ADD|WORKDIR)\b|^\/bin\/sh -c (?!#\(nop\))/.test(by),
    );
  const isTold = made.length === diffIds.length;
  return diffIds.map((diffId, index) => ({
    diffId: String(diffId),
    name: isTold ? instructionOf(made[index]?.[1] ?? "") : `layer ${index + 1}`,
  }));
}

/** `COPY app app` of `COPY app app # buildkit`, `/bin/sh -c #(nop) COPY dir:… in app`. */
function instructionOf(createdBy: string): string {
  const text = createdBy
    .replace(/^\/bin\/sh -c #\(nop\)\s*/, "")
    .replace(/^\/bin\/sh -c /, "RUN ")
    .replace(/^RUN \/bin\/sh -c /, "RUN ")
    .replace(/ # buildkit$/, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
