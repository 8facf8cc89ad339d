import { setTimeout as sleep } from "node:timers/promises";

import type { RunningImage } from "../../engine/daemonless.ts";
import type { Emit } from "../../events.ts";
import type { Image } from "../../oci/image.ts";
import type { Store } from "../../store/store.ts";
import { type Relay, relayPort } from "./relay.ts";
import { type Runtime, type Started, withCommand } from "./runtime.ts";

/** Runs an image without an engine, in a network of its own: no port of this machine has to be free. */
export function daemonlessRuntime(image: Image, store: Store, emit: Emit): Runtime {
  return {
    kind: "none",
    description: "namespaces of this user, without an engine",
    start: async ({ command, ports = [], network, env, user, readOnly, onOutput }) => {
      const { runDaemonless } = await import("../../engine/daemonless.ts");
      const shared = typeof network === "object" && "entry" in network ? network.entry : false;
      const calledAt = performance.now();
      // It has no capabilities anyway.
      const options = { env, user, readOnly, onOutput, store, emit, network: shared };
      const running = await runDaemonless(withCommand(image, command), options);
      const started: Started = {
        running,
        startedAt: calledAt + running.startMs,
        ports: new Map(),
        ...(running.inNetwork ? { network: { entry: running.inNetwork } } : {}),
      };
      return network === false ? started : await withRelays(started, running, ports);
    },
    beside: (other) => daemonlessRuntime(other, store, emit),
    close: async () => undefined,
  };
}

/** Lets ports of this machine lead to the container's for as long as it runs. */
async function withRelays(started: Started, running: RunningImage, ports: number[]): Promise<Started> {
  const entry = running.inNetwork;
  if (ports.length === 0 || !entry) return started;
  const relays = new Map<number, Relay>();
  const closeAll = (): void => relays.forEach((relay) => relay.close());
  try {
    for (const port of ports) relays.set(port, await relayPort(entry, port));
  } catch (error) {
    closeAll();
    // A command that has ended takes its network along: that it did is what there is to say.
    const ended = await Promise.race([running.exited, sleep(1000, undefined)]);
    if (ended !== undefined) return started;
    await running.stop("SIGKILL");
    throw error;
  }
  const exited = running.exited.finally(closeAll);
  return {
    ...started,
    running: { ...running, exited, stop: stopThen(running, exited) },
    ports: new Map([...relays].map(([port, relay]) => [port, relay.port])),
  };
}

/** `running`'s stop, which is over when the relays are closed too. */
function stopThen(running: RunningImage, exited: Promise<number>): RunningImage["stop"] {
  return async (signal, graceMs) => {
    await running.stop(signal, graceMs);
    return exited;
  };
}
