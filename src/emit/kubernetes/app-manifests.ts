import { defaultName } from "../../plan/default-name.ts";
import type { DeployedApp, Deployment } from "../../plan/deployment.ts";
import type { ImageSketch, Role } from "../../plan/image-plan.ts";
import { commented, inline, quoted, type YamlValue } from "../yaml-text.ts";
import { plainSettings, secretVariables } from "./environment.ts";
import { configName, dnsLabel, labelsOf, selectorOf } from "./names.ts";
import { gpuAffinity } from "./gpu-affinity.ts";
import { containerSecurity, mountsOf, podSecurity, scratchOf, temporary, volumesOf } from "./pod.ts";
import { probesOf } from "./probes.ts";
import { horizontalAutoscaler, scaledObject } from "./scaling.ts";

export interface AppManifestOptions {
  /** Ask for GPUs for images that want one. */
  gpu: boolean;
  /** Workers grow and shrink with the queue: KEDA has to be in the cluster. */
  keda: boolean;
}

/** All resources of an image of the project's own. */
export function appManifests(app: DeployedApp, deployment: Deployment, options: AppManifestOptions): YamlValue[] {
  const { role, config } = app.image;
  const scaled = role === "api" || (role === "worker" && options.keda && hasQueue(deployment));
  return [
    deploymentResource(app, deployment, { ...options, scaled }),
    ...(config.ports.length > 0 ? [serviceResource(app.image)] : []),
    ...(role === "api" ? [horizontalAutoscaler(app.image)] : []),
    ...(role === "worker" && scaled ? [scaledObject(app, deployment)] : []),
    ...(role === "api" || role === "worker" ? [disruptionBudget(app.image)] : []),
  ];
}

/** Whether the queue's length can be asked for: Celery's queues are lists in Redis. */
export function hasQueue({ services }: Deployment): boolean {
  return services.some(({ kind }) => kind === "redis");
}

function deploymentResource(
  app: DeployedApp,
  deployment: Deployment,
  { gpu, scaled }: AppManifestOptions & { scaled: boolean },
): YamlValue {
  const { image } = app;
  const name = dnsLabel(image.name);
  const labels = labelsOf(image.project.name, image.name);
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, labels },
    spec: {
      replicas: scaled ? undefined : 1,
      strategy: strategyOf(app, gpu),
      selector: { matchLabels: selectorOf(image.name) },
      template: {
        metadata: { labels },
        spec: podSpec(app, deployment, gpu),
      },
    },
  };
}

/** How pods are replaced, where one more beside the old ones would do harm. */
function strategyOf({ image, gpu: wanted }: DeployedApp, ask: boolean): YamlValue {
  if (image.role === "beat") return commented("Two schedulers would send every task twice.", { type: "Recreate" });
  if (!wanted || !ask) return undefined;
  return commented("A new pod would wait for a GPU that the old one has.", {
    rollingUpdate: { maxSurge: 0, maxUnavailable: 1 },
  });
}

function podSpec(app: DeployedApp, deployment: Deployment, gpu: boolean): YamlValue {
  const { image } = app;
  const scratch = [temporary, ...scratchOf(image.writable)];
  const gate = migrationGate(deployment);
  return {
    ...podSecurity(image.user.value),
    terminationGracePeriodSeconds: graceSeconds(image.role),
    affinity: app.gpu && gpu ? gpuAffinity(image.gpu?.value.capabilities ?? []) : undefined,
    topologySpreadConstraints: image.role === "api" ? [spread(image.name)] : undefined,
    tolerations: app.gpu && gpu ? [{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }] : undefined,
    initContainers: gate === undefined ? undefined : [gate],
    containers: [
      {
        name: dnsLabel(image.name),
        image: imageName(image),
        ports: portsOf(image),
        ...containerEnvironment(deployment),
        ...probesOf(image.config.health?.value),
        lifecycle:
          image.role === "api"
            ? commented("Until the Service has stopped sending requests here. Kubernetes 1.30 or later.", {
                preStop: { sleep: { seconds: 5 } },
              })
            : undefined,
        resources: resourcesOf(app, gpu),
        securityContext: containerSecurity,
        volumeMounts: mountsOf(scratch),
      },
    ],
    volumes: volumesOf(scratch),
  };
}

/** The name that `sheaf build` gives; kustomization.yaml puts a registry's in its place. */
export function imageName({ project, name }: ImageSketch): string {
  return defaultName(project.name, name);
}

/** The ConfigMap whole, secrets one by one. */
export function containerEnvironment({ variables }: Deployment): { [key: string]: YamlValue } {
  const secrets = secretVariables(variables);
  return {
    envFrom: plainSettings(variables).length > 0 ? [{ configMapRef: { name: configName } }] : undefined,
    env: secrets.length > 0 ? secrets : undefined,
  };
}

/** Holds a pod back until the database has what its code expects. */
function migrationGate(deployment: Deployment): YamlValue {
  const { migration, apps } = deployment;
  const image = apps.find((app) => app.image.name === migration?.image)?.image;
  if (!migration || !image) return undefined;
  const program =
    "n=0; until alembic current 2>&1 | grep -Eq '\\(head\\)|locate revision'; do n=$((n + 1)); [ $n -lt 60 ] || exit 1; sleep 5; done";
  return commented(
    "Until the job has brought the database to this code's revision, or it is past that: a code that goes back.",
    {
      name: "wait-for-migration",
      image: imageName(image),
      args: [...["sh", "-c"].map((word) => quoted(word)), program],
      workingDir: migration.workdir,
      ...containerEnvironment(deployment),
      resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "256Mi" } },
      securityContext: containerSecurity,
      volumeMounts: mountsOf([temporary]),
    },
  );
}

/** The Job that migrates the database. */
export function migrationJob(deployment: Deployment): YamlValue {
  const { migration, apps } = deployment;
  const image = apps.find((app) => app.image.name === migration?.image)?.image;
  if (!migration || !image) return undefined;
  const labels = labelsOf(image.project.name, migration.name);
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: migration.name, labels },
    spec: {
      backoffLimit: 6,
      ttlSecondsAfterFinished: commented(
        `A job can't be changed: before the next version, kubectl delete job ${migration.name}, or wait for this.`,
        300,
      ),
      template: {
        metadata: { labels },
        spec: {
          ...podSecurity(image.user.value),
          restartPolicy: "OnFailure",
          containers: [
            {
              name: migration.name,
              image: imageName(image),
              args: inline(migration.command.map((word) => quoted(word))),
              workingDir: migration.workdir,
              ...containerEnvironment(deployment),
              resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "512Mi" } },
              securityContext: containerSecurity,
              volumeMounts: mountsOf([temporary]),
            },
          ],
          volumes: volumesOf([temporary]),
        },
      },
    },
  };
}

function serviceResource(image: ImageSketch): YamlValue {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: dnsLabel(image.name), labels: labelsOf(image.project.name, image.name) },
    spec: {
      selector: selectorOf(image.name),
      ports: image.config.ports.map(({ value }, index) => ({
        name: portName(index),
        port: index === 0 && image.role === "api" ? 80 : value,
        targetPort: portName(index),
      })),
    },
  };
}

function portsOf(image: ImageSketch): YamlValue {
  if (image.config.ports.length === 0) return undefined;
  return image.config.ports.map(({ value }, index) => ({ name: portName(index), containerPort: value }));
}

function portName(index: number): string {
  return index === 0 ? "http" : `port-${index + 1}`;
}

function disruptionBudget(image: ImageSketch): YamlValue {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: dnsLabel(image.name), labels: labelsOf(image.project.name, image.name) },
    spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(image.name) } },
  };
}

function spread(name: string): YamlValue {
  return {
    maxSkew: 1,
    topologyKey: "kubernetes.io/hostname",
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: selectorOf(name) },
  };
}

/** A worker finishes its task, an API what it has begun. */
function graceSeconds(role: Role): YamlValue {
  return role === "worker" ? commented("A worker that is asked to stop finishes its task first.", 300) : 30;
}

interface Need {
  cpu: string;
  request: string;
  limit: string;
}

const needs: Record<Role, Need> = {
  api: { cpu: "250m", request: "256Mi", limit: "512Mi" },
  worker: { cpu: "500m", request: "512Mi", limit: "1Gi" },
  beat: { cpu: "50m", request: "128Mi", limit: "256Mi" },
  flower: { cpu: "50m", request: "128Mi", limit: "256Mi" },
  other: { cpu: "100m", request: "256Mi", limit: "512Mi" },
};

function resourcesOf({ image, gpu }: DeployedApp, ask: boolean): YamlValue {
  const { cpu, request, limit } = gpu ? { cpu: "2", request: "4Gi", limit: "8Gi" } : needs[image.role];
  return {
    requests: { cpu: quoted(cpu), memory: request },
    limits: { memory: limit, ...(gpu && ask ? { "nvidia.com/gpu": 1 } : {}) },
  };
}
