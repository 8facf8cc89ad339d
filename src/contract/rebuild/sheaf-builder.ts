import * as path from "node:path";

import type { SheafEvent } from "../../events.ts";
import { type Builder, BuildFailed, type BuildRequest, type Rebuilt } from "./builder.ts";
import { BuildProcesses } from "./run-build.ts";

export interface SheafBuilderOptions {
  /** The words that start this command line again. */
  program: readonly string[];
  /** A folder for the store, which is empty so far. */
  store: string;
  /** Of the project, where it has several. */
  image?: string;
  environment?: NodeJS.ProcessEnv;
}

/** `sheaf build` as a person runs it, Node's start included, with a store that nothing is in. */
export function sheafBuilder(options: SheafBuilderOptions): Builder {
  const { program, store, image, environment = process.env } = options;
  const processes = new BuildProcesses();
  // What else would be warm: compiled code of the command line, and what uv knows of indexes.
  const ownCaches = { SHEAF_CACHE_DIR: store, UV_CACHE_DIR: path.join(store, "uv") };
  return {
    name: "sheaf build",
    given: "its store was empty",
    isReproducible: true,
    look: "sheaf build --progress plain",
    async build(folder: string, { cache, timeoutMs }: BuildRequest): Promise<Rebuilt> {
      let downloaded = 0;
      const words = [
        ...program,
        ...["build", folder, "--cache-dir", store, "--json", "--progress", "json"],
        ...(image === undefined ? [] : ["--image", image]),
        ...(cache === "downloads" ? ["--no-cache"] : []),
      ];
      const { seconds, stdout } = await processes
        .run({
          words,
          folder,
          environment: { ...environment, ...ownCaches },
          timeoutMs,
          // 1: the image is there, and larger than its budget, which size.unpacked tells.
          succeeds: [0, 1],
          onLine: (line) => (downloaded += downloadedBy(line)),
        })
        .catch((error: unknown) => {
          throw error instanceof BuildFailed ? readable(error) : error;
        });
      return { seconds, downloaded, ...readBuild(stdout, folder) };
    },
    close: () => processes.close(),
  };
}

function downloadedBy(line: string): number {
  if (!line.startsWith('{"type":"download-end"')) return 0;
  let event: SheafEvent;
  try {
    event = JSON.parse(line) as SheafEvent;
  } catch {
    // Cut off, as the last line of a process that was ended.
    return 0;
  }
  return event.type === "download-end" && !event.reused ? event.received : 0;
}

/** Without the lines that only tell of progress. */
function readable(error: BuildFailed): BuildFailed {
  return new BuildFailed(
    error.message,
    error.evidence.filter((line) => !line.startsWith("{")),
  );
}

interface BuildJson {
  images?: { digest: string; layers: { name: string; diffId: string }[] }[];
}

/** @throws BuildFailed when the command printed something else */
function readBuild(stdout: string, folder: string): Pick<Rebuilt, "digest" | "layers"> {
  let images: BuildJson["images"];
  try {
    ({ images } = JSON.parse(stdout) as BuildJson);
  } catch {
    images = undefined;
  }
  const [first] = images ?? [];
  if (!first) throw new BuildFailed(`sheaf build told of no image in ${path.basename(folder)}`);
  return {
    digest: (images ?? []).map(({ digest }) => digest).join(" "),
    layers: (images ?? []).flatMap(({ layers }) => layers.map(({ name, diffId }) => ({ name, diffId }))),
  };
}
