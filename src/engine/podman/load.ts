import { randomBytes } from "node:crypto";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";

import { writeDockerArchive } from "../../oci/docker-archive.ts";
import type { Image } from "../../oci/image.ts";
import { serveImage } from "../../registry/serve.ts";
import type { LoadResult } from "../engine.ts";
import { countServed } from "../served.ts";
import { podman, tryPodman, type PodmanCommand } from "./command.ts";
import { withDockerManifest } from "./docker-manifest.ts";

type Loaded = Omit<LoadResult, "seconds">;

/** Lets podman pull from a registry in this process; gives it the archive where it can't (podman machine, a remote one). */
export async function loadIntoPodman(command: PodmanCommand, image: Image, tag: string): Promise<Loaded> {
  return (await pullIntoPodman(command, image, tag)) ?? (await pipeIntoPodman(command, image, tag));
}

/** Undefined when podman never came to the registry. */
export async function pullIntoPodman(command: PodmanCommand, image: Image, tag: string): Promise<Loaded | undefined> {
  const repository = `sheaf/${randomBytes(12).toString("hex")}`;
  const server = await serveImage(withDockerManifest(image), { repository, tag: "load" });
  const name = `${server.host}/${repository}:load`;
  try {
    const args = ["pull", "--quiet", "--tls-verify=false", "--arch", image.config.architecture, name];
    const result = await tryPodman(command, args);
    if (result.code !== 0 && server.requests === 0) return undefined;
    const id = result.code === 0 ? result.stdout.trim() : await podman(command, args);
    await podman(command, ["tag", id, tag]);
    await podman(command, ["untag", id, name]);
    return { ...countServed(image, server), way: "registry" };
  } finally {
    await server.close();
  }
}

export async function pipeIntoPodman(command: PodmanCommand, image: Image, tag: string): Promise<Loaded> {
  let transferred = 0;
  await podman(command, ["load", "--quiet"], {
    send: async (stream) => {
      const counter = new PassThrough({ highWaterMark: 2 ** 20 });
      counter.on("data", (chunk: Uint8Array) => (transferred += chunk.length));
      const piped = pipeline(counter, stream);
      await writeDockerArchive(counter, image, [tag]);
      counter.end();
      await piped;
    },
  });
  return { transferred, layersReused: 0, way: "archive" };
}
