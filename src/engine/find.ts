import { connectDocker } from "./docker/docker.ts";
import { dockerEndpoints } from "./docker/endpoint.ts";
import type { Engine } from "./engine.ts";
import { connectPodman } from "./podman/podman.ts";

/**
 * The engines that answer on this machine, Docker before Podman. Docker is asked over its API (DOCKER_HOST, the current context, the usual
 * sockets); Podman through its command.
 */
export async function findEngines(environment: NodeJS.ProcessEnv = process.env): Promise<Engine[]> {
  const found = await Promise.all([findEngine("docker", environment), findEngine("podman", environment)]);
  return found.filter((engine) => engine !== undefined);
}

/** One engine, undefined when it does not answer. */
export function findEngine(
  kind: Engine["kind"],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Engine | undefined> {
  return kind === "docker" ? findDocker(environment) : connectPodman(environment);
}

async function findDocker(environment: NodeJS.ProcessEnv): Promise<Engine | undefined> {
  for (const endpoint of dockerEndpoints(environment)) {
    const engine = await connectDocker(endpoint);
    if (engine) return engine;
  }
  return undefined;
}
