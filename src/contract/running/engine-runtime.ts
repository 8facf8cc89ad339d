import { randomBytes } from "node:crypto";

import type { Engine } from "../../engine/engine.ts";
import type { Emit } from "../../events.ts";
import type { Image } from "../../oci/image.ts";
import type { Runtime } from "./runtime.ts";

/** Runs an image in Docker or Podman, under a tag of its own that goes with `close`. */
export function engineRuntime(engine: Engine, image: Image, emit: Emit): Runtime {
  const tag = `sheaf-verify-${randomBytes(6).toString("hex")}:image`;
  let loaded: Promise<unknown> | undefined;
  return {
    kind: engine.kind,
    description: engine.describe(),
    start: async ({ command, port, readOnly, ...options }) => {
      await (loaded ??= engine.load(image, tag, emit));
      const [program = "", ...words] = command ?? [];
      const calledAt = performance.now();
      const running = await engine.run({
        ...options,
        image: tag,
        ...(readOnly ? { readOnly, tmpfs: ["/tmp"] } : {}),
        ...(command ? { entrypoint: [program], command: words } : {}),
        ...(port === undefined || options.network === false ? {} : { ports: [{ host: 0, container: port }] }),
      });
      const [granted] = running.ports;
      return { running, startedAt: calledAt + running.startMs, ...(granted ? { port: granted.host } : {}) };
    },
    close: async () => {
      if (!loaded) return;
      await loaded.catch(() => undefined);
      await engine.removeImage(tag).catch(() => undefined);
    },
  };
}
