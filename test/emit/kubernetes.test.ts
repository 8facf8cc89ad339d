import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";

import { authorship } from "../../src/emit/generated-file.ts";
import { dnsLabel } from "../../src/emit/kubernetes/names.ts";
import { kubernetesManifests } from "../../src/emit/kubernetes/manifests.ts";
import { requireOrSkip, tool } from "../lab/lab.ts";
import { cases, type DeploymentCase, deploymentOf, golden } from "./deployments.ts";

const goldens = path.join(import.meta.dirname, "golden-kubernetes");
const validate = tool("kubernetes-validate");
const kubectl = tool("kubectl");

interface Container {
  name: string;
  image: string;
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef: { key: string; optional?: boolean } } }[];
  securityContext: unknown;
  resources: { limits: Record<string, unknown> };
  livenessProbe?: unknown;
  startupProbe?: unknown;
  volumeMounts: { name: string; mountPath: string }[];
}

interface PodSpec {
  securityContext: Record<string, unknown>;
  initContainers?: Container[];
  containers: Container[];
  affinity?: unknown;
  volumes?: { name: string; emptyDir?: unknown }[];
}

/** What is used of a resource. */
interface Resource {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels: Record<string, string> };
  spec: {
    replicas?: number;
    template?: { metadata: { labels: Record<string, string> }; spec: PodSpec };
    scaleTargetRef?: { name: string };
    volumeClaimTemplates?: { metadata: { name: string } }[];
    triggers?: unknown[];
    selector?: Record<string, unknown>;
    podSelector?: { matchLabels: Record<string, string> };
    [key: string]: unknown;
  };
}

const write = async (given: DeploymentCase, options = { gpu: true, keda: true }) =>
  kubernetesManifests(await deploymentOf(given), options);

function resourcesIn(files: ReadonlyMap<string, string>): Resource[] {
  return [...files]
    .filter(([name]) => name !== "kustomization.yaml")
    .flatMap(([, text]) => parseAllDocuments(text).map((document) => document.toJS() as Resource));
}

function pods(resources: Resource[]): PodSpec[] {
  return resources.flatMap(({ spec }) => (spec?.template ? [spec.template.spec] : []));
}

const find = (resources: Resource[], kind: string, name: string): Resource => {
  const found = resources.find((resource) => resource.kind === kind && resource.metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name}`);
  return found;
};

/** Writes the files and returns their folder. */
function written(files: ReadonlyMap<string, string>): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-kubernetes-"));
  for (const [name, text] of files) fs.writeFileSync(path.join(folder, name), text);
  return folder;
}

describe.each(Object.entries(cases))("the manifests of %s", (name, given) => {
  it("are as they were (UPDATE_GOLDEN=1 writes them)", async () => {
    const files = await write(given);
    for (const [file, text] of files) {
      expect(text).toBe(golden(path.join(goldens, name, file), text));
      expect(authorship(text)).toBe("sheaf");
    }
    expect(fs.readdirSync(path.join(goldens, name)).toSorted()).toEqual([...files.keys()].toSorted());
  });

  it("hold to the restricted Pod Security Standard, with files that can't be written", async () => {
    for (const pod of pods(resourcesIn(await write(given)))) {
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      expect(pod.securityContext["runAsUser"]).toBeGreaterThan(0);
      for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(container.resources.limits).toHaveProperty("memory");
        expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toContain("/tmp");
      }
    }
  });

  it("have names that are DNS labels, and refer to what there is", async () => {
    const resources = resourcesIn(await write(given));
    const deployments = resources.filter(({ kind }) => kind === "Deployment").map(({ metadata }) => metadata.name);
    const labelled = resources.flatMap(({ spec }) => spec?.template?.metadata.labels["app.kubernetes.io/name"] ?? []);
    for (const { kind, metadata, spec } of resources) {
      expect(metadata.name).toMatch(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
      if (spec?.scaleTargetRef) expect(deployments).toContain(spec.scaleTargetRef.name);
      const selected = spec?.podSelector?.matchLabels["app.kubernetes.io/name"];
      if (selected !== undefined) expect(labelled).toContain(selected);
      if (kind === "Service") expect(labelled).toContain(spec.selector?.["app.kubernetes.io/name"]);
    }
    for (const { spec } of resources) {
      const pod = spec?.template?.spec;
      const volumes = [...(pod?.volumes ?? []), ...(spec?.volumeClaimTemplates ?? []).map(({ metadata }) => metadata)];
      for (const { volumeMounts } of pod?.containers ?? [])
        for (const mount of volumeMounts) expect(volumes.map((each) => each.name)).toContain(mount.name);
    }
  });

  it("tell every secret that has to be made, and hold none", async () => {
    const files = await write(given);
    const keys = pods(resourcesIn(files)).flatMap(({ containers }) =>
      containers.flatMap(({ env = [] }) =>
        env.flatMap(({ valueFrom }) =>
          valueFrom && !valueFrom.secretKeyRef.optional ? [valueFrom.secretKeyRef.key] : [],
        ),
      ),
    );
    const told = [...(files.get("kustomization.yaml") ?? "").matchAll(/^# {3}(\w+) {2}\(/gm)].map(([, key]) => key);
    expect([...new Set(keys)].toSorted()).toEqual(told.toSorted());
    expect([...files.values()].join("")).not.toMatch(/changeme|kind: Secret$/m);
  });

  it.skipIf(!requireOrSkip("kubernetes-validate", validate)).each(["1.30", "1.37"])(
    "are valid in the schemas of Kubernetes %s (needs kubernetes-validate)",
    async (version) => {
      const files = await write(given, { gpu: true, keda: false });
      const folder = written(files);
      const names = [...files.keys()].filter((file) => file !== "kustomization.yaml");
      const outcome = spawnSync(validate ?? "", ["-k", `${version}.0`, "--strict", "--quiet", ...names], {
        cwd: folder,
        encoding: "utf8",
      });
      expect(`${outcome.stdout}${outcome.stderr}`).not.toMatch(/ERROR|failed/i);
      expect(outcome.status).toBe(0);
      fs.rmSync(folder, { recursive: true });
    },
    60_000,
  );

  it.skipIf(!requireOrSkip("kubectl", kubectl))(
    "are put together by kustomize, under an overlay too (needs kubectl)",
    async () => {
      const folder = written(await write(given));
      const base = spawnSync(kubectl ?? "", ["kustomize", folder], { encoding: "utf8" });
      expect(base.stderr).toBe("");
      const [image] = [...base.stdout.matchAll(/image: (\S+):latest/g)].map(([, reference]) => reference);
      const overlay = written(
        new Map([
          [
            "kustomization.yaml",
            `resources: [../${path.basename(folder)}]\nimages:\n  - name: ${image}\n    newName: registry.example/x\n    newTag: "1"\n`,
          ],
        ]),
      );
      const over = spawnSync(kubectl ?? "", ["kustomize", overlay], { encoding: "utf8" });
      expect(over.stderr).toBe("");
      expect(over.stdout).toContain("image: registry.example/x:1");
      for (const each of [folder, overlay]) fs.rmSync(each, { recursive: true });
    },
  );
});

describe("manifests", () => {
  const everything = cases["everything-by-url"] as DeploymentCase;

  it("probe as the HEALTHCHECK does: a URL by the kubelet, a process inside", async () => {
    const resources = resourcesIn(await write(everything));
    const api = find(resources, "Deployment", "api").spec.template?.spec.containers[0];
    expect(api).toMatchObject({
      startupProbe: { httpGet: { path: "/health", port: 8000 }, periodSeconds: 2, failureThreshold: 20 },
      livenessProbe: {
        httpGet: { path: "/health", port: 8000 },
        periodSeconds: 30,
        timeoutSeconds: 3,
        failureThreshold: 3,
      },
      readinessProbe: { httpGet: { path: "/health", port: 8000 } },
    });
    const worker = find(resources, "Deployment", "worker").spec.template?.spec.containers[0];
    expect(worker?.livenessProbe).toMatchObject({
      exec: { command: ["sh", "-c", expect.stringMatching(/celery.* \/proc\/.*\/cmdline$/)] },
    });
  });

  it("put the password into the address only in the cluster", async () => {
    const resources = resourcesIn(await write(everything));
    const env = find(resources, "Deployment", "api").spec.template?.spec.containers[0]?.env ?? [];
    expect(env.slice(0, 2)).toEqual([
      { name: "POSTGRES_PASSWORD", valueFrom: { secretKeyRef: { name: "secrets", key: "POSTGRES_PASSWORD" } } },
      {
        name: "DATABASE_URL",
        value: "postgresql+asyncpg://shop:$(POSTGRES_PASSWORD)@postgres:5432/catalogue?ssl=disable",
      },
    ]);
    expect(env).toContainEqual({
      name: "SENTRY_DSN",
      valueFrom: { secretKeyRef: { name: "secrets", key: "SENTRY_DSN", optional: true } },
    });
  });

  it("migrate in a job, for which pods wait", async () => {
    const resources = resourcesIn(await write(everything));
    expect(find(resources, "Job", "migrate").spec.template?.spec.containers[0]).toMatchObject({
      image: "big.shop-api",
      args: ["alembic", "upgrade", "head"],
    });
    for (const name of ["api", "worker", "beat"])
      expect(find(resources, "Deployment", name).spec.template?.spec.initContainers?.[0]?.name).toBe(
        "wait-for-migration",
      );
  });

  it("scale an API by its load, a worker by each of its queues with --keda, and beat never", async () => {
    const resources = resourcesIn(await write(everything));
    expect(find(resources, "HorizontalPodAutoscaler", "api").spec.scaleTargetRef?.name).toBe("api");
    expect(find(resources, "Deployment", "api").spec.replicas).toBeUndefined();
    expect(find(resources, "ScaledObject", "worker").spec.triggers).toEqual(
      ["mail", "celery"].map((listName) => ({
        type: "redis",
        metadata: { address: "redis.big-shop.svc:6379", listName, listLength: "5", databaseIndex: "2" },
      })),
    );
    expect(find(resources, "Deployment", "worker").spec.replicas).toBeUndefined();
    expect(find(resources, "Deployment", "beat").spec).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
    const without = resourcesIn(await write(everything, { gpu: true, keda: false }));
    expect(without.map(({ kind }) => kind)).not.toContain("ScaledObject");
    expect(find(without, "Deployment", "worker").spec.replicas).toBe(1);
  });

  it("let KEDA, which is in a namespace of its own, count the queues, and nobody else of there", async () => {
    const keda = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "keda" } } };
    const from = (resources: Resource[], name: string) =>
      (find(resources, "NetworkPolicy", name).spec["ingress"] as { from: unknown[] }[])[0]?.from;
    const resources = resourcesIn(await write(everything));
    expect(from(resources, "redis")).toContainEqual(keda);
    expect(from(resources, "postgres")).not.toContainEqual(keda);
    expect(from(resourcesIn(await write(everything, { gpu: true, keda: false })), "redis")).not.toContainEqual(keda);
  });

  it("ask for a GPU where one is wanted, and don't wait for a second one", async () => {
    const given = cases["gpu-worker"] as DeploymentCase;
    const worker = find(resourcesIn(await write(given)), "Deployment", "worker");
    expect(worker.spec.template?.spec.containers[0]?.resources.limits).toMatchObject({ "nvidia.com/gpu": 1 });
    expect(worker.spec).toMatchObject({ strategy: { rollingUpdate: { maxSurge: 0 } } });
    const without = find(resourcesIn(await write(given, { gpu: false, keda: true })), "Deployment", "worker");
    expect(without.spec.template?.spec.containers[0]?.resources.limits).not.toHaveProperty("nvidia.com/gpu");
  });

  it("go to nodes whose GPUs run the code that the image has", async () => {
    const given = cases["gpu-worker"] as DeploymentCase;
    const affinityOf = async (options: { gpu: boolean; keda: boolean }, to = given) =>
      find(resourcesIn(await write(to, options)), "Deployment", "worker").spec.template?.spec.affinity;
    const label = (name: string) => `nvidia.com/gpu.compute.${name}`;
    // 8.9 is served by what is for 8.6: one term a major.
    expect(await affinityOf({ gpu: true, keda: false })).toEqual({
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [
            [
              { key: label("major"), operator: "In", values: ["7"] },
              { key: label("minor"), operator: "Gt", values: ["4"] },
            ],
            [
              { key: label("major"), operator: "In", values: ["8"] },
              { key: label("minor"), operator: "Gt", values: ["5"] },
            ],
            [{ key: label("major"), operator: "In", values: ["9"] }],
          ].map((matchExpressions) => ({ matchExpressions })),
        },
      },
    });
    expect(await affinityOf({ gpu: false, keda: false })).toBeUndefined();
    const text = given.files["pyproject.toml"];
    const all = {
      ...given,
      files: { ...given.files, "pyproject.toml": String(text).replace(/, targets = \[.*?\]/, "") },
    };
    expect(await affinityOf({ gpu: true, keda: false }, all)).toBeUndefined();
  });

  it("refuse two images that would have one name", async () => {
    await expect(
      write({
        files: {
          "pyproject.toml":
            '[project]\nname = "two"\n[tool.sheaf.images."a.b"]\napp = "one:app"\n[tool.sheaf.images.a-b]\napp = "one:app"\n',
          "one.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        },
        distributions: ["fastapi", "uvicorn"],
      }),
    ).rejects.toMatchObject({ code: "SHEAF_NAME_CLASH" });
  });
});

it.each([
  ["Big.Shop", "big-shop"],
  ["_x_", "x"],
  ["ä", "app"],
  ["a".repeat(70), "a".repeat(63)],
])("dnsLabel(%s) is %s", (text, label) => {
  expect(dnsLabel(text)).toBe(label);
});
