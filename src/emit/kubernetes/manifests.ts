import { SheafError } from "../../errors.ts";
import type { Deployment } from "../../plan/deployment.ts";
import { withHeader } from "../generated-file.ts";
import { apart, commented, type YamlValue, yamlText } from "../yaml-text.ts";
import { type AppManifestOptions, appManifests, imageName, migrationJob } from "./app-manifests.ts";
import { serviceManifests, sidecarManifests } from "./data-manifests.ts";
import { neededSecrets, plainSettings } from "./environment.ts";
import { configName, dnsLabel, secretName } from "./names.ts";
import { networkPolicies } from "./network.ts";

export type ManifestOptions = AppManifestOptions;

/** The command that is named in the files' headers. */
export const manifestCommand = "sheaf kubernetes";

/**
 * Kubernetes manifests for all of a project, and a kustomization over them, for overlays to build on: one file for each image
 * and server. Pods hold to the restricted Pod Security Standard.
 *
 * @returns name of the file → text
 */
export function kubernetesManifests(deployment: Deployment, options: ManifestOptions): Map<string, string> {
  const { project, apps, services, sidecars, migration } = deployment;
  const parts: [name: string, resources: YamlValue[]][] = [
    ["namespace", [namespace(project)]],
    ...apps.map((app): [string, YamlValue[]] => [app.image.name, appManifests(app, deployment, options)]),
    ...(migration ? [[migration.name, [migrationJob(deployment)]] satisfies [string, YamlValue[]]] : []),
    ...services.map((service): [string, YamlValue[]] => [service.name, serviceManifests(service, project)]),
    ...sidecars.map((image): [string, YamlValue[]] => [image.name, sidecarManifests(image, project)]),
    ["network-policy", networkPolicies(deployment, options)],
  ];
  refuseTwins(parts.map(([name]) => name));
  const files = parts.map(
    ([name, list]) => [`${dnsLabel(name)}.yaml`, file(list.map((each) => yamlText(each)))] as const,
  );
  return new Map([
    [
      "kustomization.yaml",
      file([
        kustomization(
          deployment,
          files.map(([name]) => name),
        ),
      ]),
    ],
    ...files,
  ]);
}

/** @throws SheafError SHEAF_NAME_CLASH when two parts would have one name in the cluster */
function refuseTwins(names: readonly string[]): void {
  const labels = new Map<string, string>([["kustomization", "kustomization"]]);
  for (const name of names) {
    const label = dnsLabel(name);
    const other = labels.get(label);
    if (other !== undefined) {
      throw new SheafError(
        "SHEAF_NAME_CLASH",
        `${JSON.stringify(other)} and ${JSON.stringify(name)} would both be called ${label} in Kubernetes`,
        {
          hint: "give one of the images another name in [tool.sheaf.images]",
        },
      );
    }
    labels.set(label, name);
  }
}

function file(documents: string[]): string {
  return withHeader(manifestCommand, documents.join("---\n"));
}

function namespace(project: string): YamlValue {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: dnsLabel(project),
      labels: commented("The cluster refuses pods that ask for more than these do.", {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
      }),
    },
  };
}

function kustomization(deployment: Deployment, files: string[]): string {
  const { project, apps, services, sidecars, variables } = deployment;
  const settings = plainSettings(variables);
  const optional = variables
    .filter(({ value }) => value.kind === "optional")
    .map(({ name, source }) => `${name} (${source})`);
  const hasDatabase = services.some(({ kind }) => kind === "postgres");
  const secrets = neededSecrets(variables, hasDatabase);
  const images = [...apps.map(({ image }) => image), ...services.flatMap(({ image }) => image ?? []), ...sidecars];
  const settingsComment = [
    "A change rolls the pods. An overlay adds to them with behavior: merge.",
    ...(optional.length > 0 ? [`What the code takes too, and does without: ${optional.join(", ")}.`] : []),
  ];
  return yamlText(
    {
      apiVersion: "kustomize.config.k8s.io/v1beta1",
      kind: "Kustomization",
      namespace: dnsLabel(project),
      resources: apart(files),
      images: apart(
        commented(
          "What the cluster pulls: sheaf push writes these to a registry.",
          images.map((image) => ({ name: imageName(image), newTag: "latest" })),
        ),
      ),
      configMapGenerator:
        settings.length > 0
          ? apart(
              commented(settingsComment.join("\n"), [
                { name: configName, literals: settings.map(([name, value]) => `${name}=${value}`) },
              ]),
            )
          : undefined,
    },
    introduction(secrets),
  );
}

function introduction(secrets: { name: string; source: string }[]): string {
  const lines = [
    "kubectl apply -k . applies all of it. What is different from place to place belongs into an overlay:",
  ];
  lines.push("  resources: [../kubernetes], then images, patches, configMapGenerator (behavior: merge).");
  if (secrets.length > 0) {
    lines.push(
      `Secrets are not in these files. Make the Secret "${secretName}" first, or have an operator make it, with:`,
      ...secrets.map(({ name, source }) => `  ${name}  (${source})`),
      `  kubectl create secret generic ${secretName} --from-env-file=.env`,
    );
  }
  return lines.join("\n");
}
