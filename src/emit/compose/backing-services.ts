import type { BackingService, ServiceKind } from "../../plan/deployment.ts";
import type { HealthPlan, ImageSketch } from "../../plan/image-plan.ts";
import { commented, inline, quoted, type YamlValue } from "../yaml-text.ts";
import { serverProbe as probe } from "../../plan/debian-servers.ts";
import { healthcheck, imageReference } from "./app-services.ts";
import { literal, passwordReference } from "./compose-values.ts";

/** What every container is held to. */
export function hardening(): { [key: string]: YamlValue } {
  return {
    restart: "unless-stopped",
    read_only: true,
    cap_drop: inline(["ALL"]),
    security_opt: inline(["no-new-privileges:true"]),
  };
}

/** PostgreSQL, Redis or memcached: the project's own image, else a public one. */
export function backingService(service: BackingService): YamlValue {
  const { image, name } = service;
  return image ? composedService(image, { volume: `${name}-data`, service }) : publicService(service);
}

/** A server that the project composes from Debian packages, and that nothing here talks to by itself. */
export function sidecarService(image: ImageSketch): YamlValue {
  return composedService(image, { volume: `${image.name}-data` });
}

/** Folder → volume, the first of a server its data. */
export function volumesOf(image: ImageSketch, volume: string): { name: string; folder: string }[] {
  return image.writable.map((folder, index) => ({ name: index === 0 ? volume : `${volume}-${index + 1}`, folder }));
}

function composedService(
  image: ImageSketch,
  { volume, service }: { volume: string; service?: BackingService },
): YamlValue {
  const { config } = image;
  const volumes = volumesOf(image, volume);
  return {
    image: imageReference(image),
    ...hardening(),
    tmpfs: inline(["/tmp"]),
    environment: service && environmentOf(service),
    healthcheck: config.health && healthcheck(config.health.value),
    volumes: volumes.length > 0 ? volumes.map(({ name, folder }) => `${name}:/${folder}`) : undefined,
    networks: service ? inline(["data"]) : undefined,
    stop_grace_period: "60s",
    deploy: limits(service?.kind),
  };
}

function environmentOf({ kind, database }: BackingService): YamlValue {
  if (kind !== "postgres" || !database) return undefined;
  return { POSTGRES_USER: database.user, POSTGRES_DB: database.name, POSTGRES_PASSWORD: passwordReference() };
}

interface PublicImage {
  image: string;
  /** The image's own user by number, so that it need not be root at first. */
  user: string;
  command?: string[];
  /** Where it keeps its data. */
  data?: string;
  tmpfs: string[];
  health: HealthPlan;
}

/** What serves where the project has no image of its own. */
export const publicImages: Record<ServiceKind, PublicImage> = {
  postgres: {
    image: "postgres:17-alpine",
    user: "70:70",
    data: "/var/lib/postgresql/data",
    tmpfs: ["/tmp", "/run/postgresql"],
    // Over TCP, on which it listens only when the cluster is made and open.
    health: { ...probe, test: ["pg_isready", "-q", "-h", "127.0.0.1"] },
  },
  redis: {
    image: "redis:7-alpine",
    user: "999:1000",
    command: ["redis-server", "--appendonly", "yes"],
    data: "/data",
    tmpfs: ["/tmp"],
    health: { ...probe, test: ["redis-cli", "-e", "ping"] },
  },
  memcached: {
    image: "memcached:1-alpine",
    user: "11211:11211",
    tmpfs: ["/tmp"],
    health: { ...probe, test: ["sh", "-c", "echo version | nc -w 2 127.0.0.1 11211 | grep -q VERSION"] },
  },
};

function publicService(service: BackingService): YamlValue {
  const { name, kind, reason } = service;
  const { image, user, command, data, tmpfs, health } = publicImages[kind];
  const variable = `${name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_")}_IMAGE`;
  return {
    image: commented(
      `For ${reason ?? "the app"}. An image of Debian's packages instead: kind = "debian" in [tool.sheaf.images.${name}]`,
      `\${${variable}:-${image}}`,
    ),
    user: commented("The image's own user: as root it would need capabilities to become it.", quoted(user)),
    ...hardening(),
    command: command && inline(command.map((word) => quoted(literal(word)))),
    tmpfs: inline(tmpfs),
    environment: environmentOf(service),
    healthcheck: healthcheck(health),
    volumes: data === undefined ? undefined : [`${name}-data:${data}`],
    networks: inline(["data"]),
    stop_grace_period: "60s",
    deploy: limits(kind),
  };
}

function limits(kind: ServiceKind | undefined): YamlValue {
  const [cpus, memory] = kind === "postgres" ? ["2.0", "1G"] : kind === undefined ? ["1.0", "512M"] : ["1.0", "512M"];
  return { resources: { limits: { cpus: quoted(cpus), memory } } };
}
