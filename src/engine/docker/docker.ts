import type { Engine } from "../engine.ts";
import { splitTag } from "../tag.ts";
import { DockerApi } from "./api.ts";
import { describeEndpoint, type Endpoint } from "./endpoint.ts";
import { loadIntoDocker } from "./load.ts";
import { runInDocker } from "./run.ts";
import { saveFromDocker } from "./save.ts";

/** The engine behind an endpoint, undefined when nothing there answers as Docker. */
export async function connectDocker(endpoint: Endpoint): Promise<Engine | undefined> {
  const api = new DockerApi(endpoint);
  try {
    const version = await api.json<{ Version?: string }>({
      method: "GET",
      path: "/version",
      signal: AbortSignal.timeout(3000),
    });
    return version?.Version ? dockerEngine(api, version.Version) : undefined;
  } catch {
    return undefined;
  }
}

function dockerEngine(api: DockerApi, version: string): Engine {
  const imageId = async (tag: string): Promise<string | undefined> => {
    const image = await api.json<{ Id: string }>({
      method: "GET",
      path: `/images/${encodeURI(tag)}/json`,
      accept: [404],
    });
    return image?.Id;
  };
  return {
    kind: "docker",
    version,
    describe: () => `Docker ${version} at ${describeEndpoint(api.endpoint)}`,
    imageId,
    tags: async () => {
      const images = await api.json<{ RepoTags?: string[] | null }[]>({ method: "GET", path: "/images/json" });
      return (images ?? []).flatMap(({ RepoTags }) => RepoTags ?? []).filter((tag) => !tag.startsWith("<none>"));
    },
    load: async (image, tag, emit) => {
      const startedAt = performance.now();
      const seconds = () => (performance.now() - startedAt) / 1000;
      const known: string[] = [image.manifest.config.digest, image.digest];
      const had = { transferred: 0, layersReused: image.layers.length, way: "none" as const };
      if (known.includes((await imageId(tag)) ?? "")) return { ...had, seconds: seconds() };
      for (const id of known) {
        // It may be there under another tag, or none.
        if (!(await imageId(id))) continue;
        const [repo, name] = splitTag(tag);
        await api.json({ method: "POST", path: `/images/${id}/tag`, query: { repo, tag: name } });
        return { ...had, seconds: seconds() };
      }
      const loaded = await loadIntoDocker(api, image, { tag, emit });
      return { ...loaded, seconds: seconds() };
    },
    removeImage: async (tag) => {
      await api.json({ method: "DELETE", path: `/images/${encodeURI(tag)}`, accept: [404] });
    },
    save: (tag, file, signal) => saveFromDocker(api, { tag, file, signal }),
    run: (options) => runInDocker(api, options),
  };
}
