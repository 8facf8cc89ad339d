import type { DeployedApp, Deployment } from "../../plan/deployment.ts";
import type { ImageSketch } from "../../plan/image-plan.ts";
import { commented, quoted, type YamlValue } from "../yaml-text.ts";
import { dnsLabel, labelsOf } from "./names.ts";

/** More pods of an API while they are busy. */
export function horizontalAutoscaler(image: ImageSketch): YamlValue {
  const name = dnsLabel(image.name);
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name, labels: labelsOf(image.project.name, image.name) },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      minReplicas: 2,
      maxReplicas: 10,
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 300 } },
    },
  };
}

/** More pods of a worker while tasks wait: each of Celery's queues is a list in Redis (KEDA's redis scaler). */
export function scaledObject({ image, gpu, queues }: DeployedApp, deployment: Deployment): YamlValue {
  const redis = deployment.services.find(({ kind }) => kind === "redis");
  const name = dnsLabel(image.name);
  return {
    apiVersion: "keda.sh/v1alpha1",
    kind: "ScaledObject",
    metadata: { name, labels: labelsOf(image.project.name, image.name) },
    spec: {
      scaleTargetRef: { name },
      minReplicaCount: gpu
        ? commented(
            "No task, no GPU. A task that is under way is not in the list: the pod's grace period lets it end.",
            0,
          )
        : 1,
      maxReplicaCount: 4,
      cooldownPeriod: 300,
      triggers: commented(
        "KEDA asks from its own namespace: the address has this one's name in it.",
        queues.map((queue) => ({
          type: "redis",
          metadata: {
            address: `${dnsLabel(redis?.name ?? "redis")}.${dnsLabel(deployment.project)}.svc:6379`,
            listName: queue,
            listLength: quoted("5"),
            databaseIndex: quoted(brokerIndex(deployment)),
          },
        })),
      ),
    },
  };
}

/** The database's number in the broker's address. */
function brokerIndex({ variables }: Deployment): string {
  const addresses = variables
    .filter(({ service }) => service === "redis")
    .toSorted((a, b) => Number(b.name.includes("BROKER")) - Number(a.name.includes("BROKER")));
  for (const { value } of addresses) {
    const index = value.kind === "wired" ? /^redis:\/\/.*\/(\d+)$/.exec(value.parts.join(""))?.[1] : undefined;
    if (index !== undefined) return index;
  }
  return "0";
}
