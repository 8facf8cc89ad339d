import type { BackingService, ServiceKind } from "../../plan/deployment.ts";
import type { HealthPlan, ImageSketch } from "../../plan/image-plan.ts";
import { publicImages } from "../compose/backing-services.ts";
import { commented, inline, quoted, type YamlValue } from "../yaml-text.ts";
import { imageName } from "./app-manifests.ts";
import { secretVariable } from "./environment.ts";
import { dnsLabel, labelsOf, selectorOf } from "./names.ts";
import { containerSecurity, mountsOf, podSecurity, type PodUser, type Scratch, temporary, volumesOf } from "./pod.ts";
import { probesOf } from "./probes.ts";
import { databasePassword } from "../../plan/deployment-variables.ts";

/** A server, whoever made its image. */
interface Server {
  name: string;
  project: string;
  image: YamlValue;
  user: PodUser;
  command?: string[];
  port?: number;
  health?: HealthPlan;
  /** Folder that outlives the pod. */
  data?: string;
  scratch: Scratch[];
  env: YamlValue[];
  kind?: ServiceKind;
}

/** PostgreSQL, Redis or memcached as a StatefulSet and its Service. */
export function serviceManifests(service: BackingService, project: string): YamlValue[] {
  const { image, name, kind, reason } = service;
  if (image) return manifestsOf({ ...composed(image), name, project, kind, env: environmentOf(service, {}) });
  const { image: reference, user, command, data, tmpfs, health } = publicImages[kind];
  const [uid = 0, gid = 0] = user.split(":").map(Number);
  return manifestsOf({
    name,
    project,
    kind,
    image: commented(`For ${reason ?? "the app"}. Managed elsewhere: sheaf kubernetes --external ${kind}`, reference),
    user: { uid, gid },
    ...(command ? { command } : {}),
    port: ports[kind],
    health,
    ...(data === undefined ? {} : { data }),
    scratch: tmpfs.map((path) => ({ name: path.slice(1).replaceAll("/", "-"), path, limit: "64Mi" })),
    // The volume itself may have a lost+found in it, on which initdb stops.
    env: environmentOf(service, kind === "postgres" && data ? { PGDATA: `${data}/pgdata` } : {}),
  });
}

/** A server of Debian packages that nothing here talks to by itself. */
export function sidecarManifests(image: ImageSketch, project: string): YamlValue[] {
  return manifestsOf({ ...composed(image), name: image.name, project, env: [] });
}

const ports: Record<ServiceKind, number> = { postgres: 5432, redis: 6379, memcached: 11_211 };

function composed(image: ImageSketch): Pick<Server, "image" | "user" | "port" | "health" | "data" | "scratch"> {
  const [data, ...others] = image.writable;
  const port = image.config.ports[0]?.value;
  return {
    image: imageName(image),
    user: image.user.value,
    ...(port === undefined ? {} : { port }),
    ...(image.config.health ? { health: image.config.health.value } : {}),
    ...(data === undefined ? {} : { data: `/${data}` }),
    scratch: [temporary, ...others.map((path) => ({ name: dnsLabel(path), path: `/${path}`, limit: "1Gi" }))],
  };
}

function environmentOf({ kind, database }: BackingService, more: Record<string, string>): YamlValue[] {
  if (kind !== "postgres" || !database) return [];
  return [
    { name: "POSTGRES_USER", value: database.user },
    { name: "POSTGRES_DB", value: database.name },
    secretVariable("POSTGRES_PASSWORD", { key: databasePassword }),
    ...Object.entries(more).map(([name, value]) => ({ name, value })),
  ];
}

function manifestsOf(server: Server): YamlValue[] {
  const { name, project, port, data } = server;
  const labels = labelsOf(project, name);
  const label = dnsLabel(name);
  return [
    {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: label, labels },
      spec: {
        serviceName: label,
        replicas: 1,
        selector: { matchLabels: selectorOf(name) },
        template: { metadata: { labels }, spec: podSpec(server) },
        volumeClaimTemplates: data === undefined ? undefined : [claim(server.kind)],
      },
    },
    ...(port === undefined
      ? []
      : [
          {
            apiVersion: "v1",
            kind: "Service",
            metadata: { name: label, labels },
            spec: { selector: selectorOf(name), ports: [{ name: server.kind ?? "tcp", port, targetPort: port }] },
          },
        ]),
  ];
}

function podSpec({ name, image, user, command, port, health, data, scratch, env, kind }: Server): YamlValue {
  const memory = kind === "postgres" ? "1Gi" : "512Mi";
  return {
    ...podSecurity(user),
    terminationGracePeriodSeconds: 60,
    containers: [
      {
        name: dnsLabel(name),
        image,
        args: command && inline(command.map((word) => quoted(word))),
        ports: port === undefined ? undefined : [{ containerPort: port }],
        env: env.length > 0 ? env : undefined,
        ...probesOf(health),
        resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory } },
        securityContext: containerSecurity,
        volumeMounts: [...(data === undefined ? [] : [{ name: "data", mountPath: data }]), ...mountsOf(scratch)],
      },
    ],
    volumes: volumesOf(scratch),
  };
}

function claim(kind: ServiceKind | undefined): YamlValue {
  return {
    metadata: { name: "data" },
    spec: {
      accessModes: inline(["ReadWriteOnce"]),
      resources: { requests: { storage: kind === "postgres" ? "10Gi" : "1Gi" } },
    },
  };
}
