import type { OwnCode } from "./own-code.ts";
import type { Project } from "../project/project.ts";
import { type EnvironmentSetting, settingsFields } from "../project/settings-fields.ts";
import { debianServer } from "./debian-servers.ts";
import type { BackingService, Deployment, DeploymentOptions, Migration, ServiceKind } from "./deployment.ts";
import { databaseOf, leadsToService, wireVariables } from "./deployment-variables.ts";
import type { ImageSketch, PlanNote } from "./image-plan.ts";
import { byCodeUnit } from "../order.ts";

/** Brings together what manifests are written from. */
export function describeDeployment(
  { project, code, images }: { project: Project; code: OwnCode; images: ImageSketch[] },
  { external = [] }: DeploymentOptions = {},
): Deployment {
  const apps = images.filter((image) => image.kind === "python");
  const composed = images.filter((image) => image.kind === "debian");
  const settings = withEvidence(settingsFields(code.sources), project);
  const services = backingServices(apps, composed, settings).filter(({ kind }) => !external.includes(kind));
  const found = findMigration(project, apps);
  return {
    project: project.name.value,
    apps: apps.map((image) => ({ image, gpu: wantsGpu(image), queues: queuesOf(image) })),
    sidecars: composed.filter((image) => !services.some((service) => service.image === image)),
    services,
    ...(found?.migration ? { migration: found.migration } : {}),
    variables: wireVariables(settings, { services, apps }),
    notes: [...(found?.notes ?? []), ...unwiredNotes(services, settings), ...fileNotes(settings)],
  };
}

/** What is configured, or CUDA's libraries among the distributions. */
function wantsGpu({ gpu, distributions }: ImageSketch): boolean {
  return gpu !== undefined || distributions.some((name) => /^nvidia-(?:cublas|cuda-runtime)/.test(name));
}

/**
 * Variables that the repository's own compose files give, and the code was not seen to read. What is no secret is in the
 * image; of that, only what leads to a service matters here.
 */
function withEvidence(fields: EnvironmentSetting[], project: Project): EnvironmentSetting[] {
  const known = new Map(fields.map((field) => [field.name, field]));
  for (const { name: service, secretEnv = [], env } of project.services) {
    for (const name of secretEnv)
      if (!known.has(name)) known.set(name, { name, required: true, secret: true, source: `service ${service}` });
    for (const [name, { value, source }] of Object.entries(env))
      if (!known.has(name) && leadsToService(name))
        known.set(name, { name, required: false, default: value, secret: false, source });
  }
  return [...known.values()].toSorted((a, b) => byCodeUnit(a.name, b.name));
}

/** Distributions that talk to a server, by what they talk to. */
const clients: Record<ServiceKind, readonly string[]> = {
  postgres: [
    ...["asyncpg", "psycopg", "psycopg-binary", "psycopg-c", "psycopg2", "psycopg2-binary", "pg8000", "aiopg"],
    ...["psycopg2cffi"],
  ],
  redis: ["redis", "aioredis", "coredis", "valkey", "hiredis"],
  memcached: ["pymemcache", "pylibmc", "aiomcache", "python-memcached"],
};

function backingServices(
  apps: ImageSketch[],
  composed: ImageSketch[],
  settings: readonly EnvironmentSetting[],
): BackingService[] {
  return (["postgres", "redis", "memcached"] as const).flatMap((kind): BackingService[] => {
    const client = clients[kind].find((name) => apps.some((app) => app.distributions.includes(name)));
    const image = composed.find(({ packages }) => debianServer(packages)?.service === kind);
    if (!client && !image) return [];
    const isTaken = apps.some(({ name }) => name === kind);
    return [
      {
        kind,
        name: image?.name.replaceAll(/[._]+/g, "-") ?? (isTaken ? `${kind}-server` : kind),
        ...(image ? { image } : {}),
        ...(client === undefined ? {} : { reason: client }),
        ...(kind === "postgres" ? { database: databaseOf(settings, apps[0]?.project.name ?? "app") } : {}),
      },
    ];
  });
}

/** Queues after `-Q`; Celery's own unless told. */
function queuesOf({ role, config }: ImageSketch): string[] {
  if (role !== "worker") return [];
  const words = config.command.value.flatMap((word) => word.split(/\s+/));
  const at = words.findIndex((word) => word === "-Q" || word === "--queues");
  const told =
    at >= 0 ? words[at + 1] : words.find((word) => /^(?:-Q|--queues=)./.test(word))?.replace(/^(?:-Q|--queues=)/, "");
  return told ? told.split(",").filter((name) => /^[\w.:-]+$/.test(name)) : ["celery"];
}

/** Alembic's configuration, in the first image that ships it and can run it; an API before a worker. */
function findMigration(
  project: Project,
  apps: ImageSketch[],
): { migration?: Migration; notes: PlanNote[] } | undefined {
  const inFolder = project.directory === "" ? "alembic.ini" : `${project.directory}/alembic.ini`;
  const capable = [...apps].toSorted((a, b) => Number(b.role === "api") - Number(a.role === "api"));
  for (const image of capable.filter(({ distributions }) => distributions.includes("alembic"))) {
    const file = image.files.filter((path) => path.endsWith("alembic.ini")).toSorted((a, b) => a.length - b.length)[0];
    if (file === undefined) continue;
    const folder = `/${file.slice(0, Math.max(0, file.lastIndexOf("/")))}`;
    return {
      migration: {
        name: apps.some(({ name }) => name === "migrate") ? "migrate-database" : "migrate",
        image: image.name,
        command: ["alembic", "upgrade", "head"],
        ...(folder === image.config.workdir.value ? {} : { workdir: folder }),
        source: inFolder,
      },
      notes: [],
    };
  }
  const withheld = project.withheld.find(({ path }) => path.endsWith("alembic.ini"));
  if (!withheld || !capable.some(({ distributions }) => distributions.includes("alembic"))) return undefined;
  return {
    notes: [
      {
        level: "warning",
        message: `${withheld.path} is not in the images (${withheld.rule}), so no step migrates the database`,
        hint: `let it ship: include = [${JSON.stringify(withheld.path)}] in [tool.sheaf]`,
      },
    ],
  };
}

/** Databases that are a file: containers can't write to their file system. */
function fileNotes(settings: readonly EnvironmentSetting[]): PlanNote[] {
  return settings.flatMap(({ name, default: text = "", source }): PlanNote[] => {
    if (!/^sqlite(?:\+\w+)?:\/\/\/./.test(text)) return [];
    return [
      {
        level: "warning",
        message: `${name} is a file unless it is set (${text}, ${source}), and the root file system is read-only`,
        hint: `set ${name} to a server's address, or let the file be in a folder that writable names in [tool.sheaf]`,
      },
    ];
  });
}

function unwiredNotes(services: BackingService[], settings: readonly EnvironmentSetting[]): PlanNote[] {
  return services
    .filter(
      ({ kind, reason }) =>
        reason !== undefined &&
        !settings.some((setting) =>
          wireVariables([setting], { services, apps: [] }).some((wired) => wired.service === kind),
        ),
    )
    .map(({ kind, reason, name }) => ({
      level: "warning",
      message: `no setting was found that tells the app where ${name} is, which ${reason} talks to`,
      hint: `name it in an overlay, or read it as a field of BaseSettings: ${kind}_url`,
    }));
}
