import { setTimeout as sleep } from "node:timers/promises";

import type { Emit } from "../../events.ts";
import type { Image } from "../../oci/image.ts";
import type { Store } from "../../store/store.ts";
import { relayPort } from "./relay.ts";
import { type Runtime, withCommand } from "./runtime.ts";

/** Runs an image without an engine, in a network of its own: no port of this machine has to be free. */
export function daemonlessRuntime(image: Image, store: Store, emit: Emit): Runtime {
  return {
    kind: "none",
    description: "namespaces of this user, without an engine",
    start: async ({ command, port, network, env, user, readOnly, onOutput }) => {
      const { runDaemonless } = await import("../../engine/daemonless.ts");
      const calledAt = performance.now();
      // It has no capabilities anyway.
      const options = { env, user, readOnly, onOutput, store, emit, network: false };
      const running = await runDaemonless(withCommand(image, command), options);
      const startedAt = calledAt + running.startMs;
      if (port === undefined || network === false || !running.inNetwork) return { running, startedAt };
      try {
        const relay = await relayPort(running.inNetwork, port);
        const exited = running.exited.finally(() => relay.close());
        return { running: { ...running, exited, stop: stopThen(running, exited) }, startedAt, port: relay.port };
      } catch (error) {
        // A command that has ended takes its network along: that it did is what there is to say.
        const ended = await Promise.race([running.exited, sleep(1000, undefined)]);
        if (ended !== undefined) return { running, startedAt };
        await running.stop("SIGKILL");
        throw error;
      }
    },
    close: async () => undefined,
  };
}

/** `running`'s stop, which is over when the relay is closed too. */
function stopThen(
  running: Awaited<ReturnType<Runtime["start"]>>["running"],
  exited: Promise<number>,
): typeof running.stop {
  return async (signal, graceMs) => {
    await running.stop(signal, graceMs);
    return exited;
  };
}
