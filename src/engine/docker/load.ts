import { randomBytes } from "node:crypto";
import { PassThrough } from "node:stream";

import { SheafError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import { writeDockerArchive } from "../../oci/docker-archive.ts";
import type { Image } from "../../oci/image.ts";
import { serveImage, type ImageServer } from "../../registry/serve.ts";
import type { LoadResult } from "../engine.ts";
import { countServed } from "../served.ts";
import { splitTag } from "../tag.ts";
import type { DockerApi } from "./api.ts";
import { isLocal } from "./endpoint.ts";

type Loaded = Omit<LoadResult, "seconds">;

/** How long the daemon may take to knock at our registry before we take it to be elsewhere. */
const knockMs = 5000;

/**
 * Lets a daemon on this machine pull from a registry in this process, so that it fetches only the layers that it lacks; sends the
 * whole archive where it can't reach us (another machine or network namespace, Docker Desktop).
 */
export async function loadIntoDocker(
  api: DockerApi,
  image: Image,
  options: { tag: string; emit: Emit },
): Promise<Loaded> {
  const pulled = isLocal(api.endpoint) ? await loadByRegistry(api, image, options) : undefined;
  return pulled ?? (await loadByArchive(api, image, options.tag));
}

/** Undefined when the daemon did not reach the registry. */
export async function loadByRegistry(
  api: DockerApi,
  image: Image,
  options: { tag: string; emit: Emit },
): Promise<Loaded | undefined> {
  // Nobody else on this machine can guess the name while it is served.
  const repository = `sheaf/${randomBytes(12).toString("hex")}`;
  const server = await serveImage(image, { repository, tag: "load" });
  const name = `${server.host}/${repository}`;
  try {
    if (!(await pull(api, { name, server, image, emit: options.emit }))) return undefined;
    const [repo, tag] = splitTag(options.tag);
    await api.json({ method: "POST", path: `/images/${name}:load/tag`, query: { repo, tag } });
    return { ...countServed(image, server), way: "registry" };
  } finally {
    await removeReference(api, `${name}:load`);
    await server.close();
  }
}

export async function loadByArchive(api: DockerApi, image: Image, tag: string): Promise<Loaded> {
  let transferred = 0;
  const lines = api.lines<ProgressLine>({
    method: "POST",
    path: "/images/load",
    query: { quiet: "1" },
    send: async (stream) => {
      const counter = new PassThrough({ highWaterMark: 2 ** 20 });
      counter.on("data", (chunk: Uint8Array) => (transferred += chunk.length));
      counter.pipe(stream, { end: false });
      await writeDockerArchive(counter, image, [tag]);
      const drained = new Promise<void>((resolve) => counter.once("end", resolve));
      counter.end();
      await drained;
    },
  });
  for await (const line of lines) {
    if (line.error) throw new SheafError("SHEAF_ENGINE", `Docker did not take the image: ${line.error}`);
  }
  return { transferred, layersReused: 0, way: "archive" };
}

/** A line of `/images/create` and `/images/load`. */
export interface ProgressLine {
  status?: string;
  /** Short digest of a layer. */
  id?: string;
  error?: string;
  progressDetail?: { current?: number; total?: number };
}

interface Pull {
  name: string;
  server: ImageServer;
  image: Image;
  emit: Emit;
}

/** False when the daemon never came. */
async function pull(api: DockerApi, { name, server, image, emit }: Pull): Promise<boolean> {
  const abort = new AbortController();
  const timer = setTimeout(() => server.requests === 0 && abort.abort(), knockMs);
  const { os, architecture } = image.config;
  const progress = pullProgress(image, emit);
  try {
    const lines = api.lines<ProgressLine>({
      method: "POST",
      path: "/images/create",
      query: { fromImage: name, tag: "load", platform: `${os}/${architecture}` },
      signal: abort.signal,
    });
    for await (const line of lines) {
      if (line.error) throw new SheafError("SHEAF_ENGINE", `Docker did not take the image: ${line.error}`);
      progress(line);
    }
    return true;
  } catch (error) {
    if (server.requests === 0) return false;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Turns Docker's lines into events, a download for each layer that it fetches. */
export function pullProgress(image: Pick<Image, "layers">, emit: Emit): (line: ProgressLine) => void {
  const layers = new Map(image.layers.map((layer) => [layer.digest.slice(7, 19), layer]));
  const started = new Set<string>();
  return ({ id, status, progressDetail }) => {
    const layer = id === undefined ? undefined : layers.get(id);
    if (!layer) return;
    if (status === "Downloading") {
      if (!started.has(layer.digest)) {
        started.add(layer.digest);
        emit({ type: "download-start", id: layer.digest, label: layer.createdBy, total: layer.size });
      }
      emit({ type: "download-progress", id: layer.digest, received: progressDetail?.current ?? 0 });
    }
    if (status === "Download complete" && started.delete(layer.digest)) {
      emit({ type: "download-end", id: layer.digest, received: layer.size, reused: false });
    }
  };
}

async function removeReference(api: DockerApi, name: string): Promise<void> {
  await api
    .json({ method: "DELETE", path: `/images/${name}`, query: { noprune: "1" }, accept: [404, 409] })
    .catch(() => undefined);
}
