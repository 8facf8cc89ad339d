import type { Deployment } from "../../plan/deployment.ts";
import { databasePassword } from "../../plan/deployment-variables.ts";
import { withHeader } from "../generated-file.ts";
import { anchored, aliasOf, apart, commented, inline, quoted, type YamlValue, yamlText } from "../yaml-text.ts";
import { appService, type ComposeOptions, imageReference, publishedPorts } from "./app-services.ts";
import { backingService, hardening, publicImages, sidecarService, volumesOf } from "./backing-services.ts";
import { environmentOf, literal } from "./compose-values.ts";
import { appVolumes } from "./volumes.ts";

/**
 * A compose file (compose-spec) for all of a project: its images, the servers that they need, and what brings the database
 * up to date before them. Read-only root file systems, no capabilities, health checks in the order of the start.
 */
export function composeFile(deployment: Deployment, options: ComposeOptions): string {
  const { project, apps, services, sidecars, migration } = deployment;
  const published = publishedPorts(deployment);
  const named = [
    ...apps.map((app) => [app.image.name, appService(app, deployment, { ...options, published })] as const),
    ...(migration ? [[migration.name, migrationService(deployment)] as const] : []),
    ...services.map((service) => [service.name, backingService(service)] as const),
    ...sidecars.map((image) => [image.name, sidecarService(image)] as const),
  ];
  const volumes = volumesIn(deployment);
  const body: YamlValue = {
    name: projectName(project),
    "x-app": apart(
      commented(
        `What all containers of the project have in common. What they write goes to /tmp, which is memory, or to a volume.`,
        anchored("app", {
          ...hardening(),
          tmpfs: inline(["/tmp"]),
          networks: services.length > 0 ? inline(["default", "data"]) : undefined,
          environment: deployment.variables.length > 0 ? environmentOf(deployment.variables) : undefined,
        }),
      ),
    ),
    services: apart(
      Object.fromEntries(named.map(([name, service], index) => [name, index === 0 ? service : apart(service)])),
    ),
    networks:
      services.length > 0
        ? apart(
            commented("What keeps data is reached from here alone, and reaches nothing outside.", {
              data: { internal: true },
            }),
          )
        : undefined,
    volumes: volumes.length > 0 ? apart(Object.fromEntries(volumes.map((name) => [name, {}]))) : undefined,
  };
  return withHeader("sheaf compose", yamlText(body, introduction(deployment)));
}

function introduction({ variables, services }: Deployment): string {
  const password = services.some(({ kind }) => kind === "postgres");
  const needed = variables.filter(
    ({ value }) => value.kind === "required" || (value.kind === "secret" && value.required),
  );
  const lines = [
    "Build the images first, sheaf build --load, then: docker compose up --wait",
    ...(password || needed.length > 0
      ? ["Secrets are not in this file. Put them into .env beside it, and that into .gitignore:"]
      : []),
    ...(password ? [`  ${databasePassword}=  (letters and digits: openssl rand -hex 24)`] : []),
    ...needed.map(({ name, source }) => `  ${name}=  (${source})`),
  ];
  return lines.join("\n");
}

/** The tables are brought up to date once, by the new code, before any of it starts. */
function migrationService({ migration, apps, services }: Deployment): YamlValue {
  const app = apps.find(({ image }) => image.name === migration?.image);
  if (!migration || !app) return undefined;
  const database = services.filter(({ kind }) => kind === "postgres");
  return {
    "<<": aliasOf("app"),
    image: commented(`Once, before everything else of the project: ${migration.source}`, imageReference(app.image)),
    command: inline(migration.command.map((word) => quoted(literal(word)))),
    working_dir: migration.workdir,
    depends_on:
      database.length > 0
        ? Object.fromEntries(database.map(({ name }) => [name, { condition: "service_healthy" }]))
        : undefined,
    restart: quoted("no"),
    healthcheck: { disable: true },
    deploy: { resources: { limits: { cpus: quoted("1.0"), memory: "512M" } } },
  };
}

function volumesIn(deployment: Deployment): string[] {
  return [
    ...appVolumes(deployment).keys(),
    ...deployment.services.flatMap(({ name, kind, image }) => {
      if (image) return volumesOf(image, `${name}-data`).map((volume) => volume.name);
      return publicImages[kind].data === undefined ? [] : [`${name}-data`];
    }),
    ...deployment.sidecars.flatMap((image) => volumesOf(image, `${image.name}-data`).map((volume) => volume.name)),
  ];
}

/** compose-spec 03: lower-case letters, digits, dashes and underscores. */
function projectName(project: string): string {
  return (
    project
      .toLowerCase()
      .replaceAll(/[^a-z0-9_-]+/g, "-")
      .replaceAll(/^[^a-z0-9]+|-+$/g, "") || "app"
  );
}
