import type { Sourced } from "../project/project.ts";
import type { Project } from "../project/project.ts";
import type { ImageIntent } from "./choose-images.ts";
import { readCommand } from "./command.ts";
import { gpuVariables } from "./gpu/settings.ts";
import type { GpuPlan, HealthPlan, ImagePlan } from "./image-plan.ts";
import { byCodeUnit } from "../order.ts";

export interface SettingsRequest {
  project: Project;
  intent: ImageIntent;
  command: Sourced<string[]>;
  workdir: Sourced<string>;
  /** Folders of the image on sys.path, without a leading slash. */
  importRoots: string[];
  port: Sourced<number> | undefined;
  health: Sourced<HealthPlan> | undefined;
  base: string;
  user: { name: string; uid: number; gid: number };
  /** APP_ENV as a build argument. */
  appEnv?: Sourced<string>;
  /** What it wants of a GPU, when it wants one. */
  gpu?: GpuPlan;
}

/** Docker stops a container after 10 s: a server that ends by itself before that finishes what it has begun. */
const gracefulSeconds = "8";

/** The image's runtime settings, each with its source. */
export function imageSettings(request: SettingsRequest): ImagePlan["config"] {
  const { project, intent, command, workdir, port, health } = request;
  return {
    workdir,
    env: environment(request),
    entrypoint: {
      value: ["/usr/bin/tini", "--"],
      source: "default: tini is PID 1, so that signals arrive and orphans are reaped",
    },
    command,
    ports: port ? [port] : [],
    health,
    labels: imageLabels(project, intent, request.base),
    stopSignal: intent.settings["stop-signal"]
      ? { value: intent.settings["stop-signal"], source: "config" }
      : { value: "SIGTERM", source: "default" },
  };
}

function environment({
  project,
  intent,
  command,
  importRoots,
  workdir,
  user,
  appEnv,
  gpu,
}: SettingsRequest): Record<string, Sourced<string>> {
  const byDefault = (value: string): Sourced<string> => ({ value, source: "default" });
  const configured = project.config["app-env"];
  const told: Sourced<string> | undefined =
    appEnv ?? (configured === undefined ? undefined : { value: configured, source: "config app-env" });
  const pythonPath = [...new Set([...importRoots.map((root) => `/${root}`), workdir.value])].join(":");
  const defaults: Record<string, Sourced<string>> = {
    PATH: byDefault("/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"),
    LANG: byDefault("C.UTF-8"),
    HOME: byDefault(`/home/${user.name}`),
    PYTHONUNBUFFERED: byDefault("1"),
    // The file system may be read-only, and everything that matters is compiled.
    PYTHONDONTWRITEBYTECODE: byDefault("1"),
    PYTHONPATH: { value: pythonPath, source: "where the project's modules are" },
    ...(gpu ? gpuVariables(gpu, intent.role) : {}),
    // Only as told: applications check it against names of their own.
    ...(told ? { APP_ENV: told } : {}),
    ...(readCommand(command.value).program === "uvicorn" || command.value.includes("uvicorn")
      ? { UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN: { value: gracefulSeconds, source: "default: below Docker's 10 s" } }
      : {}),
  };
  const evident = Object.fromEntries(
    Object.entries(intent.env).filter(
      ([name, { value }]) => !name.startsWith("PIP_") && !builderOnly.has(name) && !(value === "" && isProxy(name)),
    ),
  );
  const merged: Record<string, Sourced<string>> = {
    ...defaults,
    ...evident,
    ...(appEnv ? { APP_ENV: appEnv } : {}),
  };
  const path = evident["PYTHONPATH"];
  if (path) merged["PYTHONPATH"] = { value: mergePaths(path.value, pythonPath), source: path.source };
  // A PATH of somebody else's image leads to folders that this one does not have.
  if (evident["PATH"]?.source !== "config") merged["PATH"] = defaults["PATH"] ?? byDefault("");
  return Object.fromEntries(Object.entries(merged).toSorted(([a], [b]) => byCodeUnit(a, b)));
}

/** Variables that steer an installation in a Dockerfile and say nothing to the finished image. */
const builderOnly = new Set([
  ...[
    "DEBIAN_FRONTEND",
    "POETRY_VERSION",
    "POETRY_HOME",
    "POETRY_VIRTUALENVS_CREATE",
    "POETRY_VIRTUALENVS_IN_PROJECT",
    "POETRY_NO_INTERACTION",
  ],
  ...[
    "POETRY_CACHE_DIR",
    "UV_COMPILE_BYTECODE",
    "UV_LINK_MODE",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON_DOWNLOADS",
    "UV_SYSTEM_PYTHON",
    "UV_CACHE_DIR",
  ],
  ...[
    "VIRTUAL_ENV",
    "PYSETUP_PATH",
    "VENV_PATH",
    "PDM_CHECK_UPDATE",
    "PDM_USE_VENV",
    "GPG_KEY",
    "PYTHON_VERSION",
    "PYTHON_SHA256",
    "HOME",
  ],
]);

/** A proxy of the build that was not given. */
function isProxy(name: string): boolean {
  return /^(?:https?|ftp|all|no)_proxy$/i.test(name);
}

function mergePaths(first: string, second: string): string {
  const parts = [...first.split(":"), ...second.split(":")].filter((part) => part !== "" && !part.includes("$"));
  return [...new Set(parts)].join(":");
}

/** OCI's own labels, and those of the configuration. */
export function imageLabels(project: Project, intent: ImageIntent, base: string): Record<string, Sourced<string>> {
  const prefix = "org.opencontainers.image";
  const all: Record<string, Sourced<string>> = {
    [`${prefix}.title`]: { value: `${project.name.value}-${intent.name}`, source: project.name.source },
    ...(project.version ? { [`${prefix}.version`]: project.version } : {}),
    [`${prefix}.base.name`]: { value: base, source: "plan" },
    ...sourced({ ...project.config.labels, ...intent.settings.labels }),
  };
  return Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => byCodeUnit(a, b)));
}

function sourced(values: Record<string, string>): Record<string, Sourced<string>> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value, source: "config" }]));
}

/** From the configuration, the compose file or the Dockerfile; /app unless told. */
export function chooseWorkdir({ settings, service, dockerfile }: ImageIntent): Sourced<string> {
  if (settings.workdir) return { value: settings.workdir, source: "config" };
  const told = service?.workdir ?? dockerfile?.workdir;
  return told && /^\/[\w./-]+$/.test(told.value) ? told : { value: "/app", source: "default" };
}
