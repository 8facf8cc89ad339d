import { SheafError } from "../errors.ts";
import type { ImageSettings, SheafConfig } from "../project/config/schema.ts";
import type { AppObject, DockerfileEvidence, Project, ServiceEvidence, Sourced } from "../project/project.ts";
import { expandable, readCommand } from "./command.ts";
import { installedBy } from "./installed-by.ts";
import type { Role } from "./image-plan.ts";

/** What one image is to be, before anything is resolved: settings, evidence and defaults brought together. */
export interface ImageIntent {
  name: string;
  /** Whether it holds the project's code, or Debian packages alone. */
  kind: "python" | "debian";
  role: Role;
  app?: AppObject;
  /** Undefined for an API whose server is chosen from its distributions. */
  command?: Sourced<string[]>;
  settings: ImageSettings;
  service?: ServiceEvidence;
  dockerfile?: DockerfileEvidence;
  extras: Sourced<string[]>;
  groups: Sourced<string[]>;
  requirements?: Sourced<string[]>;
  /** All that it installs, where that has nothing to do with the project: a Dockerfile for flower alone. */
  distributions?: Sourced<string[]>;
  env: Record<string, Sourced<string>>;
  packages: Sourced<string>[];
  port?: Sourced<number>;
}

export interface ChooseOptions {
  /** Only these images; all unless given. */
  names?: string[];
}

/**
 * The images of a project. Configuration outranks what the repository's own Dockerfile, compose file and Procfile say, and
 * these outrank what its code suggests.
 *
 * @throws SheafError SHEAF_NO_APP, SHEAF_SEVERAL_APPS, SHEAF_NO_IMAGE
 */
export function chooseImages(project: Project, options: ChooseOptions = {}): ImageIntent[] {
  const { apps, debian } = byKind(project.config);
  const intents = [
    ...(configuresApps(project.config) ? configuredImages(project, apps) : detectedImages(project)),
    ...Object.entries(debian).map(([name, settings]) => debianIntent(project, name, settings)),
  ];
  if (intents.length === 0) throw noApp(project);
  if (!options.names?.length) return intents;
  const unknown = options.names.find((name) => !intents.some((intent) => intent.name === name));
  if (unknown === undefined) return intents.filter((intent) => options.names?.includes(intent.name));
  throw new SheafError("SHEAF_NO_IMAGE", `this project has no image ${JSON.stringify(unknown)}`, {
    details: [["images", intents.map((intent) => intent.name).join(", ")]],
    hint: "sheaf plan shows them all",
  });
}

/** Whether the configuration says which images hold the project's code; else they are detected. */
export function configuresApps(config: SheafConfig): boolean {
  const { apps, debian } = byKind(config);
  return config.images !== undefined && (Object.keys(apps).length > 0 || Object.keys(debian).length === 0);
}

function byKind({ images = {} }: SheafConfig): Record<"apps" | "debian", Record<string, ImageSettings>> {
  const entries = Object.entries(images);
  return {
    apps: Object.fromEntries(entries.filter(([, { kind }]) => kind !== "debian")),
    debian: Object.fromEntries(entries.filter(([, { kind }]) => kind === "debian")),
  };
}

/** An image of Debian packages alone: what it is, the configuration says. */
function debianIntent(project: Project, name: string, settings: ImageSettings): ImageIntent {
  const source = `${project.configFile ?? "config"} images.${name}`;
  const none: Sourced<string[]> = { value: [], source };
  return {
    name,
    kind: "debian",
    role: "other",
    command: settings.command && { value: settings.command, source: `${source}.command` },
    settings,
    extras: none,
    groups: none,
    env: mapValues(settings.env ?? {}, (value) => ({ value, source: "config" })),
    packages: (settings.packages ?? []).map((value) => ({ value, source: `${source}.packages` })),
    port: settings.port === undefined ? undefined : { value: settings.port, source: "config" },
  };
}

function configuredImages(project: Project, images: Record<string, ImageSettings>): ImageIntent[] {
  const single = Object.keys(images).length === 1;
  return Object.entries(images).map(([name, settings]) => {
    const role = settings.role ?? roleOf(settings, name);
    const service = single
      ? bestService(project, role)
      : (project.services.find((each) => each.name === name) ?? bestService(project, role));
    return intentFor(project, { name, role, settings, service });
  });
}

function detectedImages(project: Project): ImageIntent[] {
  const intents: ImageIntent[] = [];
  const services = project.services.filter((service) => service.role !== "other" && service.command);
  for (const role of ["api", "worker", "beat", "flower"] as const) {
    const those = distinct(services.filter((service) => service.role === role));
    for (const service of those) {
      const name = those.length === 1 ? role : service.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
      intents.push(intentFor(project, { name, role, settings: {}, service }));
    }
    const kind = role === "api" ? "fastapi" : role === "worker" ? "celery" : undefined;
    if (those.length > 0 || !kind || !project.apps.some((app) => app.kind === kind)) continue;
    intents.push(intentFor(project, { name: role, role, settings: {}, service: undefined }));
  }
  return intents;
}

interface IntentParts {
  name: string;
  role: Role;
  settings: ImageSettings;
  service: ServiceEvidence | undefined;
}

function intentFor(project: Project, { name, role, settings, service }: IntentParts): ImageIntent {
  const dockerfile = project.dockerfiles.find((each) => each.file === service?.dockerfile) ?? project.dockerfiles[0];
  const command = chooseCommand({ settings, service, dockerfile, role, name });
  const app = chooseApp(project, { role, settings, command, name });
  const installs = installedBy(project, dockerfile);
  const configured = <T>(key: string, value: T): Sourced<T> => ({
    value,
    source: `${project.configFile ?? "config"} images.${name}.${key}`,
  });
  return {
    name,
    kind: "python",
    role,
    app,
    command: withScheduleFile(command ?? defaultCommand(role, app), role),
    settings,
    service,
    dockerfile,
    extras: settings.extras ? configured("extras", settings.extras) : installs.extras,
    groups: settings.groups ? configured("groups", settings.groups) : installs.groups,
    requirements: settings.requirements ? configured("requirements", settings.requirements) : installs.requirements,
    distributions: role === "flower" && !settings.requirements ? installs.packages : undefined,
    env: {
      ...dockerfile?.env,
      ...service?.env,
      ...mapValues({ ...project.config.env, ...settings.env }, (value) => ({ value, source: "config" })),
    },
    packages: [
      ...[...(project.config.packages ?? []), ...(settings.packages ?? [])].map((value) => ({
        value,
        source: "config",
      })),
      ...(dockerfile?.aptPackages ?? []),
    ],
    port: choosePort({ settings, service, dockerfile, command, role }),
  };
}

function chooseCommand(
  input: Omit<IntentParts, "name"> & { name: string; dockerfile: DockerfileEvidence | undefined },
): Sourced<string[]> | undefined {
  if (input.settings.command) return { value: input.settings.command, source: `config images.${input.name}.command` };
  const { app } = input.settings;
  // A command that runs another app than the configured one says nothing.
  const serves = (command: Sourced<string[]>) => app === undefined || readCommand(command.value).application === app;
  const command = input.service?.command ?? input.dockerfile?.command;
  if (!command || !serves(command)) return undefined;
  if (!input.service?.command && roleOfCommand(command.value) !== input.role) return undefined;
  const port = input.service?.ports[0] ?? input.dockerfile?.ports[0];
  return { ...command, value: expandable(command.value, port?.value ?? 8000) };
}

interface AppRequest {
  role: Role;
  settings: ImageSettings;
  command: Sourced<string[]> | undefined;
  name: string;
}

function chooseApp(project: Project, { role, settings, command, name }: AppRequest): AppObject | undefined {
  const kind = role === "api" ? "fastapi" : "celery";
  const candidates = project.apps.filter((app) => app.kind === kind);
  if (settings.app) return namedApp(project, settings.app, role);
  const application = command && readCommand(command.value).application;
  if (application) {
    const [module, attribute] = application.replace(/\(.*\)$/, "").split(":");
    return (
      candidates.find((app) => app.module === module && (!attribute || app.attribute === attribute.split(".")[0])) ??
      candidates.find(
        (app) => module === app.module || module?.endsWith(`.${app.module}`) || app.module.endsWith(`.${module}`),
      )
    );
  }
  if (command || candidates.length <= 1 || role === "other") return candidates[0];
  const [best, second] = candidates;
  if (best && second && best.file !== second.file && best.score === second.score) throw severalApps(candidates, name);
  return best;
}

/** `module:attribute`, `module:factory()` as the user wrote it; its file is looked up for the import root. */
function namedApp(project: Project, text: string, role: Role): AppObject {
  const match = text.match(/^([\w.]+):(\w+)(\(\))?$/);
  if (!match) {
    throw new SheafError("SHEAF_APP_FORMAT", `${JSON.stringify(text)} does not name an app`, {
      hint: 'write module:attribute or module:factory(), for example "app.main:app"',
    });
  }
  const [, module = "", attribute = "", factory] = match;
  const known = project.apps.find((app) => app.module === module && app.attribute === attribute);
  if (known) return known;
  const tail = module.replaceAll(".", "/");
  const file = project.files.find(
    (each) => each.path.endsWith(`${tail}.py`) || each.path.endsWith(`${tail}/__init__.py`),
  )?.path;
  if (!file) {
    throw new SheafError("SHEAF_NO_MODULE", `there is no module ${module} among the files that ship`, {
      hint: "check the spelling, and that .dockerignore or exclude don't keep it out (sheaf plan lists what ships)",
    });
  }
  const importRoot = file.slice(0, Math.max(0, file.lastIndexOf(tail) - 1));
  return {
    kind: role === "api" ? "fastapi" : "celery",
    module,
    attribute,
    factory: factory !== undefined,
    file,
    line: 1,
    importRoot,
    score: 0,
  };
}

function defaultCommand(role: Role, app: AppObject | undefined): Sourced<string[]> | undefined {
  if (!app || role === "api") return undefined;
  const source = `${app.file}:${app.line} is Celery()`;
  const celery = ["celery", "-A", app.factory ? `${app.module}:${app.attribute}` : app.module];
  if (role === "worker") return { value: [...celery, "worker", "--loglevel=info"], source };
  if (role === "beat") return { value: [...celery, "beat", "--loglevel=info"], source };
  if (role === "flower") return { value: [...celery, "flower"], source };
  return undefined;
}

/** Beat keeps its times in a file, in the working directory unless told: that one is read-only in the image. */
function withScheduleFile(command: Sourced<string[]> | undefined, role: Role): Sourced<string[]> | undefined {
  if (!command || role !== "beat" || readCommand(command.value).program !== "celery") return command;
  if (command.value.some((word) => /^(?:-s|-S|--schedule(?:r)?)(?:=|$)/.test(word))) return command;
  return { value: [...command.value, "--schedule=/tmp/celerybeat-schedule"], source: command.source };
}

interface PortRequest {
  settings: ImageSettings;
  service: ServiceEvidence | undefined;
  dockerfile: DockerfileEvidence | undefined;
  command: Sourced<string[]> | undefined;
  role: Role;
}

function choosePort({ settings, service, dockerfile, command, role }: PortRequest): Sourced<number> | undefined {
  if (settings.port) return { value: settings.port, source: "config" };
  const spoken = command && readCommand(command.value).port;
  if (spoken) return { value: spoken, source: command.source };
  if (role === "flower") return { value: 5555, source: "default" };
  if (role !== "api") return undefined;
  return service?.ports[0] ?? dockerfile?.ports[0] ?? { value: 8000, source: "default" };
}

function roleOf(settings: ImageSettings, name: string): Role {
  if (settings.command) return roleOfCommand(settings.command);
  return name === "worker" || name === "beat" || name === "flower" ? name : "api";
}

export function roleOfCommand(command: readonly string[]): Role {
  const facts = readCommand(command);
  if (facts.program === "celery" || command.includes("celery")) {
    return command.includes("worker")
      ? "worker"
      : command.includes("beat")
        ? "beat"
        : command.includes("flower")
          ? "flower"
          : "other";
  }
  return facts.application || facts.program === "fastapi" || facts.script ? "api" : "other";
}

function bestService(project: Project, role: Role): ServiceEvidence | undefined {
  return project.services.find((service) => service.role === role && service.command);
}

/** Services that run the same command are one image: scaled or profiled twins in compose files. */
function distinct(services: ServiceEvidence[]): ServiceEvidence[] {
  const seen = new Set<string>();
  return services.filter((service) => {
    const key = JSON.stringify(service.command?.value);
    return !seen.has(key) && seen.add(key);
  });
}

function mapValues<T, U>(record: Record<string, T>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

function noApp(project: Project): SheafError {
  const folders = [
    ...new Set(project.files.filter((file) => file.path.endsWith(".py")).map((file) => file.path.split("/")[0] ?? "")),
  ];
  const count = project.files.filter((file) => file.path.endsWith(".py")).length;
  const near = project.nearMisses;
  return new SheafError("SHEAF_NO_APP", "no FastAPI or Celery app found in this project", {
    details: [
      [
        "looked in",
        `${folders
          .slice(0, 6)
          .map((name) => (name.endsWith(".py") ? name : `${name}/`))
          .join(", ")} (${count} Python files)`,
      ],
      ...near.slice(0, 3).map((miss): [string, string] => ["came close", `${miss.file}:${miss.line} ${miss.what}`]),
    ],
    hint: [
      near[0] ? `sheaf build --app ${JSON.stringify(near[0].try)}` : "sheaf build --app module:attribute",
      "or set [tool.sheaf.images.api] command in pyproject.toml",
    ],
  });
}

function severalApps(candidates: AppObject[], name: string): SheafError {
  return new SheafError("SHEAF_SEVERAL_APPS", `several apps could be the image "${name}"`, {
    details: candidates
      .slice(0, 6)
      .map((app): [string, string] => [`${app.module}:${app.attribute}`, `${app.file}:${app.line}`]),
    hint: [
      `sheaf build --app ${candidates[0]?.module}:${candidates[0]?.attribute}`,
      `or set [tool.sheaf.images.${name}] app in pyproject.toml`,
    ],
  });
}
