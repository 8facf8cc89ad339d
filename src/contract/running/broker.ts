import { setTimeout as sleep } from "node:timers/promises";

import { type BrokerBeside, Container } from "./container.ts";
import { RedisClient } from "./redis-client.ts";
import type { Runtime, SharedNetwork, StartOptions } from "./runtime.ts";

/** Redis' own. In a network that only the check's containers have, it is free. */
export const brokerPort = 6379;

/** Where containers that share its network find it. */
export const brokerHost = "127.0.0.1";

/** URL of one of its databases, as Celery and Redis' clients take it. */
export function brokerUrl(database: number | string = 0): string {
  return `redis://${brokerHost}:${brokerPort}/${database}`;
}

/** A Redis that runs for one container beside it, in the network that they share. */
export class Broker implements BrokerBeside {
  readonly network: SharedNetwork;
  readonly ports: ReadonlyMap<number, number>;
  readonly gone: Promise<unknown>;
  readonly #container: Container;

  private constructor(container: Container, network: SharedNetwork) {
    this.#container = container;
    this.network = network;
    this.ports = container.ports;
    this.gone = container.gone;
  }

  /**
   * Starts it and waits until it takes connections.
   * @param way ports of the container beside it that are to be reached from here, and how its network is
   * @throws Error when it does not come up
   */
  static async start(runtime: Runtime, way: Pick<StartOptions, "ports" | "network" | "restricted">): Promise<Broker> {
    const container = await Container.start(runtime, { ...way, ports: [brokerPort, ...(way.ports ?? [])] });
    try {
      for (let tries = 0; tries < 600; tries++) {
        if (container.exitCode !== undefined) break;
        if (container.stdout.includes("Ready to accept connections") && container.network)
          return new Broker(container, container.network);
        await sleep(20);
      }
      throw new Error(container.lastLines(2).join("; "));
    } catch (error) {
      await container.end().catch(() => undefined);
      throw error;
    }
  }

  async connect(): Promise<RedisClient> {
    const port = this.ports.get(brokerPort);
    if (port === undefined) throw new Error("no port of this machine leads to the broker");
    return RedisClient.connect(port);
  }

  async hasConsumer(): Promise<boolean | undefined> {
    const redis = await this.connect().catch(() => undefined);
    try {
      const clients = await redis?.ask("CLIENT", "LIST").catch(() => undefined);
      return typeof clients === "string" ? /\bcmd=b[rl]pop\b/.test(clients) : undefined;
    } finally {
      redis?.close();
    }
  }

  end(): Promise<void> {
    return this.#container.end();
  }
}
