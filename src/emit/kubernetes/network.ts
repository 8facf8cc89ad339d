import type { Deployment } from "../../plan/deployment.ts";
import { commented, inline, type YamlValue } from "../yaml-text.ts";
import { dnsLabel, labelsOf, selectorOf } from "./names.ts";

/** Who may talk to whom: everything that is not said here is refused, in clusters whose network heeds policies. */
export function networkPolicies(deployment: Deployment, { keda }: { keda: boolean }): YamlValue[] {
  const { project, apps, services, sidecars, migration } = deployment;
  const counted =
    keda && apps.some(({ image }) => image.role === "worker")
      ? services.find(({ kind }) => kind === "redis")
      : undefined;
  const served = apps.filter(({ image }) => image.role === "api" && image.config.ports.length > 0);
  const others = apps.filter(({ image }) => image.role !== "api" && image.config.ports.length > 0);
  const clients = [...apps.map(({ image }) => image.name), ...(migration ? [migration.name] : [])];
  const data = [
    ...services.map(({ name, kind, image }) => ({ name, port: image?.config.ports[0]?.value ?? ports[kind] })),
    ...sidecars.flatMap(({ name, config }) => config.ports.map(({ value }) => ({ name, port: value }))),
  ];
  return [
    policy(project, "deny-ingress", {
      podSelector: { matchLabels: { "app.kubernetes.io/part-of": dnsLabel(project) } },
      policyTypes: inline(["Ingress"]),
    }),
    ...served.map(({ image }) =>
      policy(project, image.name, {
        podSelector: { matchLabels: selectorOf(image.name) },
        policyTypes: inline(["Ingress"]),
        ingress: [
          commented("From anywhere in the cluster: an overlay may name the ingress controller's namespace.", {
            ports: image.config.ports.map(({ value }) => ({ port: value })),
          }),
        ],
      }),
    ),
    ...others.map(({ image }) =>
      policy(project, image.name, {
        podSelector: { matchLabels: selectorOf(image.name) },
        policyTypes: inline(["Ingress"]),
        ingress: [
          commented("It has no login of its own: kubectl port-forward reaches it, pods of this project do.", {
            from: [{ podSelector: { matchLabels: { "app.kubernetes.io/part-of": dnsLabel(project) } } }],
            ports: image.config.ports.map(({ value }) => ({ port: value })),
          }),
        ],
      }),
    ),
    ...data.map(({ name, port }) =>
      policy(project, name, {
        podSelector: { matchLabels: selectorOf(name) },
        policyTypes: inline(["Ingress", "Egress"]),
        ingress: [
          {
            from: [
              ...clients.map((client) => ({ podSelector: { matchLabels: selectorOf(client) } })),
              ...(name === counted?.name ? [commented("KEDA counts what waits in the queues.", kedaPods)] : []),
            ],
            ports: [{ port }],
          },
        ],
        egress: commented("What keeps data reaches nothing.", inline([])),
      }),
    ),
  ];
}

/** Where KEDA is installed, by its own instructions. */
const kedaPods: YamlValue = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "keda" } } };

const ports = { postgres: 5432, redis: 6379, memcached: 11_211 } as const;

function policy(project: string, name: string, spec: YamlValue): YamlValue {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: dnsLabel(name), labels: labelsOf(project, name) },
    spec,
  };
}
