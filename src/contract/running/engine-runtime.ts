import { randomBytes } from "node:crypto";

import type { ContainerOptions, Engine } from "../../engine/engine.ts";
import type { Emit } from "../../events.ts";
import type { Image } from "../../oci/image.ts";
import type { Runtime, StartOptions } from "./runtime.ts";

/** Runs an image in Docker or Podman, under a tag of its own that goes with `close`. */
export function engineRuntime(engine: Engine, image: Image, emit: Emit): Runtime {
  const tag = `sheaf-verify-${randomBytes(6).toString("hex")}:image`;
  let loaded: Promise<unknown> | undefined;
  return {
    kind: engine.kind,
    description: engine.describe(),
    start: async ({ command, ports = [], readOnly, network, ...options }) => {
      await (loaded ??= engine.load(image, tag, emit));
      const [program = "", ...words] = command ?? [];
      const calledAt = performance.now();
      const running = await engine.run({
        ...options,
        ...networkOf(network),
        image: tag,
        ...(readOnly ? { readOnly, tmpfs: ["/tmp"] } : {}),
        ...(command ? { entrypoint: [program], command: words } : {}),
        ...(network === false ? {} : { ports: ports.map((port) => ({ host: 0, container: port })) }),
      });
      return {
        running,
        startedAt: calledAt + running.startMs,
        ports: new Map(running.ports.map(({ container, host }) => [container, host])),
        network: { id: running.id },
      };
    },
    beside: (other) => engineRuntime(engine, other, emit),
    close: async () => {
      if (!loaded) return;
      await loaded.catch(() => undefined);
      await engine.removeImage(tag).catch(() => undefined);
    },
  };
}

function networkOf(network: StartOptions["network"]): Pick<ContainerOptions, "network"> {
  if (network === undefined || typeof network === "boolean") return network === undefined ? {} : { network };
  if ("id" in network) return { network: network.id };
  throw new Error("an engine knows no network but its own");
}
