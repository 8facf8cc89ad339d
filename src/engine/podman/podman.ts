import type { Engine } from "../engine.ts";
import { findProgram } from "../../host/programs.ts";
import { podman, tryPodman, type PodmanCommand } from "./command.ts";
import { loadIntoPodman } from "./load.ts";
import { runInPodman } from "./run.ts";
import { saveFromPodman } from "./save.ts";

/** Podman by its command, undefined where there is none that works. */
export async function connectPodman(environment: NodeJS.ProcessEnv): Promise<Engine | undefined> {
  const program = findProgram("podman", environment["PATH"]);
  if (!program) return undefined;
  const command = { program, environment };
  const asked = await tryPodman(command, ["version", "--format", "{{.Client.Version}}"], { timeoutMs: 5000 });
  const version = asked.stdout.trim();
  return asked.code === 0 && version ? podmanEngine(command, version) : undefined;
}

function podmanEngine(command: PodmanCommand, version: string): Engine {
  const imageId: Engine["imageId"] = async (tag) => {
    const result = await tryPodman(command, ["image", "inspect", "--format", "{{.Id}}", tag]);
    return result.code === 0 ? `sha256:${result.stdout.trim()}` : undefined;
  };
  return {
    kind: "podman",
    version,
    describe: () => `Podman ${version}`,
    imageId,
    tags: async () => {
      const result = await tryPodman(command, [
        "images",
        "--filter",
        "dangling=false",
        "--format",
        "{{.Repository}}:{{.Tag}}",
      ]);
      return result.code === 0 ? result.stdout.split("\n").filter(Boolean) : [];
    },
    load: async (image, tag) => {
      const startedAt = performance.now();
      const seconds = () => (performance.now() - startedAt) / 1000;
      const id = image.manifest.config.digest;
      if ((await imageId(id)) !== undefined) {
        if ((await imageId(tag)) !== id) await podman(command, ["tag", id, tag]);
        return { transferred: 0, layersReused: image.layers.length, seconds: seconds(), way: "none" };
      }
      return { ...(await loadIntoPodman(command, image, tag)), seconds: seconds() };
    },
    removeImage: async (tag) => {
      if ((await imageId(tag)) !== undefined) await podman(command, ["rmi", "--force", tag]);
    },
    save: (tag, file, signal) => saveFromPodman(command, { tag, file, signal }),
    run: (options) => runInPodman(command, options),
  };
}
