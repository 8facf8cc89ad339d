import { createHash } from "node:crypto";

import type { DebianArchive } from "../debian/archive.ts";
import { SheafError } from "../errors.ts";
import { byCodeUnit } from "../order.ts";
import type { Platform } from "../platform.ts";
import type { Project, Sourced } from "../project/project.ts";
import type { ImageIntent } from "./choose-images.ts";
import { createdTime } from "./created-time.ts";
import { prepareDebianEnvironment } from "./debian-environment.ts";
import { budgetOf, type DescribedImage } from "./describe-image.ts";
import { type DebianServer, debianServer, serverProbe } from "./debian-servers.ts";
import { urlProbe } from "./health.ts";
import { type HealthPlan, type ImagePlan, type ImageSketch, planVersion, type PlannedFile } from "./image-plan.ts";
import type { PlannedImage } from "./planned-image.ts";
import { composedBase } from "./planned-base.ts";
import type { PlanServices } from "./services.ts";
import { writableFolders } from "./writable-folders.ts";
import { imageLabels } from "./settings.ts";

export interface DebianImageRequest {
  project: Project;
  intent: ImageIntent;
  platform: Platform;
  archive: DebianArchive;
}

/** How an image of Debian packages alone runs: its configuration, and what is known of the server in it. */
export function sketchDebianImage(project: Project, intent: ImageIntent): ImageSketch {
  const server = serverOf(intent);
  return {
    ...describeDebianImage(project, intent),
    kind: "debian",
    shell: needsShell(server) || (project.config.shell ?? true),
    packages: intent.packages.map(({ value }) => value),
    distributions: [],
    files: Object.keys(server?.files ?? {}).map((path) => path.slice(1)),
  };
}

/**
 * Plans an image of `kind = "debian"`: packages, a command and a user, without Python and without the project's files.
 * @throws SheafError SHEAF_UNKNOWN_SERVER for packages of which Sheaf doesn't know how they are started
 */
export async function planDebianImage(
  { project, intent, platform, archive }: DebianImageRequest,
  services: PlanServices,
): Promise<PlannedImage> {
  const { config } = project;
  const names = intent.packages.map(({ value }) => value);
  const server = serverOf(intent);
  const run = describeDebianImage(project, intent);
  const shell = needsShell(server) || (config.shell ?? true);
  const created = createdTime();
  // What somebody names is taken.
  const without = Object.entries(server?.without ?? {}).filter(([name]) => !names.includes(name));
  const environment = await prepareDebianEnvironment(
    {
      platform,
      archive,
      archiveState: `${archive.codename} ${archive.signedAt}`,
      packages: new Map(intent.packages.map(({ value, source }) => [value, source])),
      without: without.map(([name]) => name),
      shell,
      ignoreScripts: config["ignore-scripts"] ?? [],
      mtime: created,
      user: run.user.value,
    },
    services,
  );
  const labels = imageLabels(project, intent, `debian:${archive.codename}`);
  const plan: ImagePlan = {
    planVersion,
    ...run,
    platform,
    base: composedBase(archive, shell),
    packages: environment.packages,
    resolution: { source: "Debian packages", locked: true },
    distributions: [],
    files: Object.entries(server?.files ?? {}).map(([path, text]) => ownFile(path, text)),
    withheld: [],
    config: { ...run.config, labels },
    options: { strip: false, bytecode: environment.bytecode, layerBudget: config["layer-budget"] ?? 60, created },
    notes: [
      ...without.map(([name, why]) => ({ level: "note" as const, message: `${name} is left out: ${why}` })),
      ...environment.notes,
    ],
  };
  return { plan, environment, reached: [] };
}

/** What Sheaf adds to a server is a script. */
function needsShell(server: DebianServer | undefined): boolean {
  return server?.files !== undefined || server?.test[0] === "sh";
}

function serverOf(intent: ImageIntent): DebianServer | undefined {
  return debianServer(intent.packages.map(({ value }) => value));
}

function describeDebianImage(project: Project, intent: ImageIntent): DescribedImage["run"] {
  const { config } = project;
  const { settings } = intent;
  const server = serverOf(intent);
  const command = intent.command ?? knownCommand(intent, server);
  const id = config.uid ?? 10001;
  const user = { name: settings.user ?? server?.user ?? config.user ?? "appuser", uid: id, gid: id };
  const workdir: Sourced<string> = settings.workdir
    ? { value: settings.workdir, source: "config" }
    : { value: server?.writable[0] ?? `/home/${user.name}`, source: "default" };
  return {
    name: intent.name,
    role: intent.role,
    project: { name: project.name.value, version: project.version?.value },
    user: { value: user, source: settings.user || config.uid ? "config" : server ? "its package" : "default" },
    writable: writableFolders(
      [...(server?.writable ?? []), ...(settings.writable ?? [])],
      command.value,
      workdir.value,
    ),
    config: {
      workdir,
      env: environmentOf({ intent, server, user: user.name }),
      entrypoint: {
        value: ["/usr/bin/tini", "--"],
        source: "default: tini is PID 1, so that signals arrive and orphans are reaped",
      },
      command,
      ports: portsOf(intent, server),
      health: healthOf(intent, server),
      labels: imageLabels(project, intent, "debian"),
      stopSignal: stopSignalOf(intent, server),
    },
    budget: budgetOf(intent),
  };
}

function knownCommand(intent: ImageIntent, server: DebianServer | undefined): Sourced<string[]> {
  if (server) return { value: server.command, source: `how a container runs ${intent.packages[0]?.value ?? "it"}` };
  throw new SheafError("SHEAF_UNKNOWN_SERVER", `the image ${JSON.stringify(intent.name)} has no command`, {
    details: [["packages", intent.packages.map(({ value }) => value).join(", ")]],
    hint: `set [tool.sheaf.images.${intent.name}] command, in the foreground: command = ["program", "--option"]`,
  });
}

function environmentOf({
  intent,
  server,
  user,
}: {
  intent: ImageIntent;
  server: DebianServer | undefined;
  user: string;
}): Record<string, Sourced<string>> {
  const values = {
    PATH: "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    HOME: `/home/${user}`,
    ...server?.env,
  };
  const defaults = Object.entries(values).map(([name, value]) => [name, { value, source: "default" }] as const);
  return Object.fromEntries(
    Object.entries({ ...Object.fromEntries(defaults), ...intent.env }).toSorted(([a], [b]) => byCodeUnit(a, b)),
  );
}

function portsOf({ port }: ImageIntent, server: DebianServer | undefined): Sourced<number>[] {
  if (port) return [port];
  return server ? [{ value: server.port, source: "its protocol's own" }] : [];
}

function stopSignalOf({ settings }: ImageIntent, server: DebianServer | undefined): Sourced<string> {
  if (settings["stop-signal"]) return { value: settings["stop-signal"], source: "config" };
  return { value: server?.stopSignal ?? "SIGTERM", source: "default" };
}

function healthOf({ settings }: ImageIntent, server: DebianServer | undefined): Sourced<HealthPlan> | undefined {
  const { health } = settings;
  if (health === false) return undefined;
  if (typeof health === "string") return { value: { ...urlProbe(health, "wget"), ...serverProbe }, source: "config" };
  if (health) return { value: { ...serverProbe, test: health }, source: "config" };
  return server && { value: { ...serverProbe, test: server.test }, source: "its own client" };
}

function ownFile(path: string, text: string): PlannedFile {
  const sha256 = createHash("sha256").update(text).digest("hex");
  return { path: path.slice(1), text, mode: 0o755, size: Buffer.byteLength(text), sha256 };
}
