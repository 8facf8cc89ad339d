import { defaultName } from "../../plan/default-name.ts";
import type { DeployedApp, Deployment } from "../../plan/deployment.ts";
import type { HealthPlan, ImageSketch, Role } from "../../plan/image-plan.ts";
import { aliasOf, commented, inline, quoted, type YamlValue } from "../yaml-text.ts";
import { literal } from "./compose-values.ts";
import { volumeOf } from "./volumes.ts";

export interface ComposeOptions {
  /** Reserve GPUs for images that want one. */
  gpu: boolean;
}

/** The service of an image of the project's own. */
export function appService(
  app: DeployedApp,
  deployment: Deployment,
  { gpu, published }: ComposeOptions & { published: ReadonlyMap<string, number> },
): YamlValue {
  const { image } = app;
  return {
    "<<": aliasOf("app"),
    image: imageReference(image),
    ports: image.config.ports.length > 0 ? portsOf(image, published.get(image.name)) : undefined,
    depends_on: dependenciesOf(deployment),
    healthcheck: image.config.health && healthcheck(image.config.health.value),
    volumes: image.writable.length > 0 ? image.writable.map((folder) => `${volumeOf(folder)}:/${folder}`) : undefined,
    stop_grace_period: gracePeriod(image.role),
    deploy: { resources: resourcesOf(app, gpu) },
  };
}

/** `sheaf build` names it; another name, of a registry, comes from the environment. */
export function imageReference({ name, project }: ImageSketch): string {
  const variable = `${name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_")}_IMAGE`;
  return `\${${variable}:-${defaultName(project.name, name)}:latest}`;
}

/** The port of this machine for each image that has one: its own, or the next where another image has that. */
export function publishedPorts({ apps }: Deployment): Map<string, number> {
  const taken = new Set<number>();
  return new Map(
    apps.flatMap(({ image: { name, config } }) => {
      const [first] = config.ports;
      if (!first) return [];
      let port = first.value;
      while (taken.has(port)) port += 1;
      taken.add(port);
      return [[name, port] as const];
    }),
  );
}

function portsOf({ name, role, config }: ImageSketch, first: number | undefined): YamlValue {
  const variable = `${name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_")}_PORT`;
  const published = config.ports.map(({ value }, index) => {
    const port = index === 0 ? `\${${variable}:-${first ?? value}}` : String(value);
    return quoted(`${role === "api" ? "" : "127.0.0.1:"}${port}:${value}`);
  });
  return role === "api" ? published : commented("For this machine alone: it has no login of its own.", published);
}

function dependenciesOf({ migration, services }: Deployment): YamlValue {
  const conditions = [
    ...(migration ? [[migration.name, { condition: "service_completed_successfully" }] as const] : []),
    ...services.map(({ name }) => [name, { condition: "service_healthy" }] as const),
  ];
  return conditions.length > 0 ? Object.fromEntries(conditions) : undefined;
}

/** The image's own HEALTHCHECK, for engines that drop it from OCI images. */
export function healthcheck({ test, interval, timeout, startPeriod, retries }: HealthPlan): YamlValue {
  return {
    test: inline(["CMD", ...test].map((word) => quoted(literal(word)))),
    interval: `${interval}s`,
    timeout: `${timeout}s`,
    start_period: `${startPeriod}s`,
    retries,
  };
}

/** How long a container may take to end: an API has 8 s to answer what it began, a worker to finish its task. */
function gracePeriod(role: Role): YamlValue {
  return role === "worker" ? commented("A worker that is asked to stop finishes its task first.", "60s") : "15s";
}

interface Limits {
  cpus: string;
  memory: string;
}

const limits: Record<Role, Limits> = {
  api: { cpus: "1.0", memory: "512M" },
  worker: { cpus: "2.0", memory: "1G" },
  beat: { cpus: "0.25", memory: "256M" },
  flower: { cpus: "0.5", memory: "256M" },
  other: { cpus: "1.0", memory: "512M" },
};

function resourcesOf({ image, gpu }: DeployedApp, reserve: boolean): YamlValue {
  const { cpus, memory } = gpu ? { cpus: "4.0", memory: "8G" } : limits[image.role];
  return {
    limits: { cpus: quoted(cpus), memory },
    reservations:
      gpu && reserve
        ? commented("One GPU. On a machine without: sheaf compose --no-gpu", {
            devices: [{ driver: "nvidia", count: 1, capabilities: inline(["gpu"]) }],
          })
        : undefined,
  };
}
