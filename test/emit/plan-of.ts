import type { HealthPlan, ImagePlan, InstallPlan } from "../../src/plan/image-plan.ts";
import { chooseHealth, urlProbe } from "../../src/plan/health.ts";

/** What makes one image's plan differ from another's; the rest is as the planner sets it by default. */
export interface PlanSpec {
  name?: string;
  role?: ImagePlan["role"];
  project?: ImagePlan["project"];
  /** Version of Python. */
  python?: string;
  /** What the project runs on. */
  requiresPython?: string;
  /** Path in the repository, or that and another path in the image. */
  files: (string | [from: string, path: string])[];
  command: string[];
  install: Partial<InstallPlan> & Pick<InstallPlan, "kind" | "files">;
  packages?: [name: string, reason: string][];
  distributions?: [name: string, version: string][];
  /** Distributions that are built from source. */
  built?: string[];
  env?: Record<string, string>;
  labels?: Record<string, string>;
  health?: HealthPlan;
  port?: number;
  writable?: string[];
  withheld?: ImagePlan["withheld"];
  gpu?: NonNullable<ImagePlan["gpu"]>["value"];
  workdir?: string;
  importRoots?: string[];
  base?: ImagePlan["base"];
  stopSignal?: string;
}

/** A plan as the planner makes them, without a repository. */
export function planOf(spec: PlanSpec): ImagePlan {
  const { name = "api", role = "api", project = { name: "shop", version: "1.0.0" }, python = "3.12.1" } = spec;
  const { workdir = "/app", command } = spec;
  const byDefault = <T>(value: T) => ({ value, source: "default" });
  const roots = [...(spec.importRoots ?? []).map((root) => `${workdir}/${root}`), workdir];
  const env = {
    HOME: "/home/appuser",
    LANG: "C.UTF-8",
    PATH: "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONPATH: [...new Set(roots)].join(":"),
    PYTHONUNBUFFERED: "1",
    ...(command[0] === "uvicorn" ? { UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN: "8" } : {}),
    ...(spec.gpu
      ? { CUDA_VISIBLE_DEVICES: "0", NVIDIA_VISIBLE_DEVICES: "all", NVIDIA_DRIVER_CAPABILITIES: "compute,utility" }
      : {}),
    ...spec.env,
  };
  const labels = {
    "org.opencontainers.image.title": `${project.name}-${name}`,
    ...(project.version ? { "org.opencontainers.image.version": project.version } : {}),
    "org.opencontainers.image.base.name": "debian:bookworm",
    ...spec.labels,
  };
  const minor = python.split(".").slice(0, 2).join(".");
  return {
    planVersion: 1,
    name,
    role,
    platform: { os: "linux", architecture: "amd64" },
    project,
    python: {
      version: python,
      kind: "host",
      layout: {
        executable: `/usr/local/bin/python${minor}`,
        purelib: `usr/local/lib/python${minor}/site-packages`,
        platlib: `usr/local/lib/python${minor}/site-packages`,
        scripts: "usr/local/bin",
        data: "usr/local",
        include: `usr/local/include/python${minor}`,
        stdlib: `usr/local/lib/python${minor}`,
        cacheTag: `cpython-${minor.replace(".", "")}`,
      },
      identity: "sha256:0",
      reason: "default",
      ...(spec.requiresPython ? { wanted: { value: spec.requiresPython, source: "pyproject.toml:4" } } : {}),
    },
    base: spec.base ?? {
      kind: "debian",
      codename: "bookworm",
      version: "12.15",
      signedAt: "2026-11-21T02:10:46Z",
      shell: true,
      source: "apt configuration of this machine",
    },
    packages: [...basePackages, ...(spec.packages ?? [])].map(([name, reason]) => ({
      name,
      version: "1",
      architecture: "amd64",
      sha256: "0",
      size: 1,
      installedSize: 1,
      reason,
    })),
    resolution: { source: spec.install.files.join(", "), locked: spec.install.kind !== "written" },
    install: {
      reads: spec.install.files,
      extras: [],
      groups: [],
      indexes: [],
      excluded: [],
      bytecode: true,
      ...spec.install,
    },
    distributions: [
      ...(spec.distributions ?? []),
      ...(spec.built ?? []).map((built): [string, string] => [built, "1"]),
    ].map(([name, version]) => ({
      name,
      version,
      filename: `${name}-${version}-py3-none-any.whl`,
      sha256: "0",
      source: "lock",
      ...(spec.built?.includes(name) ? { built: true } : {}),
    })),
    files: spec.files.map((file) => {
      const [from, path] = typeof file === "string" ? [file, `${workdir}/${file}`.slice(1)] : file;
      return { from, path, mode: 0o644, size: 1, sha256: "0" };
    }),
    withheld: spec.withheld ?? [],
    ...(spec.gpu ? { gpu: { value: spec.gpu, source: "config" } } : {}),
    user: byDefault({ name: "appuser", uid: 10001, gid: 10001 }),
    writable: spec.writable ?? [],
    config: {
      workdir: byDefault(workdir),
      env: Object.fromEntries(Object.entries(env).map(([variable, value]) => [variable, byDefault(value)])),
      entrypoint: byDefault(["/usr/bin/tini", "--"]),
      command: byDefault(command),
      ports: spec.port === undefined ? [] : [byDefault(spec.port)],
      health: healthOf(spec, role),
      labels: Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, byDefault(value)])),
      stopSignal: byDefault(spec.stopSignal ?? "SIGTERM"),
    },
    options: {
      strip: true,
      bytecode: { compiled: true, by: "Python 3.12 of this machine" },
      layerBudget: 60,
      created: 0,
    },
    notes: [],
  };
}

function healthOf({ health, port }: PlanSpec, role: ImagePlan["role"]): ImagePlan["config"]["health"] {
  if (health) return { value: health, source: "config" };
  if (port !== undefined)
    return { value: urlProbe(`http://localhost:${port}/health`, "wget"), source: "app/main.py:5" };
  const none = { value: [], source: "default" };
  const intent = {
    name: "worker",
    kind: "python",
    role,
    settings: {},
    extras: none,
    groups: none,
    env: {},
    packages: [],
  } as const;
  return chooseHealth({ intent: { ...intent, packages: [] }, sources: new Map(), port: undefined, shell: true });
}

/** Of every composed base: none of these is for apt-get. */
const basePackages: [name: string, reason: string][] = [
  ["busybox", "base"],
  ["gcc-12-base", "dependency of libgcc-s1"],
  ["libc6", "base"],
  ["libssl3", "libssl.so.3, needed by python3.12/lib-dynload/_ssl.cpython-312-x86_64-linux-gnu.so"],
  ["libstdc++6", "libstdc++.so.6, needed by site-packages/greenlet/_greenlet.cpython-312-x86_64-linux-gnu.so"],
  ["tini", "base"],
];
