import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { SheafError } from "../../errors.ts";
import { collectOutput } from "../bounded-output.ts";
import type { ContainerOptions, RunningContainer } from "../engine.ts";
import type { Healthcheck } from "../../oci/types.ts";
import { allGpus } from "../gpus.ts";
import { parseHealthcheck } from "../health.ts";
import { monitorHealth } from "../health-monitor.ts";
import { exitStatus } from "../namespaces.ts";
import { portTaken, type PortMapping } from "../ports.ts";
import { podman, tryPodman, type PodmanCommand } from "./command.ts";

/** Creates and starts a container, and removes it whatever happens once it has ended. */
export async function runInPodman(command: PodmanCommand, options: ContainerOptions): Promise<RunningContainer> {
  const startedAt = performance.now();
  const environment = { ...command.environment, ...Object.fromEntries(privateVariables(options)) };
  const healthcheck = await healthcheckOf(command, options.image);
  const id = await podman({ ...command, environment }, ["create", ...createArguments(options)]);
  const remove = () => tryPodman(command, ["rm", "--force", "--volumes", "--time", "0", id]);
  // Attached, so that nothing that the image prints is lost, and its exit code becomes podman's.
  const child = spawn(command.program, ["start", "--attach", "--sig-proxy=false", id], {
    env: command.environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const output = collectOutput(child);
  child.stdout.on("data", (chunk: Buffer) => options.onOutput?.(chunk, "stdout"));
  child.stderr.on("data", (chunk: Buffer) => options.onOutput?.(chunk, "stderr"));
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(exitStatus(code, signal)));
  });
  let over = false;
  const exited = ended.finally(async () => {
    over = true;
    monitor?.stop();
    await remove();
  });
  exited.catch(() => undefined);

  let monitor: ReturnType<typeof monitorHealth> | undefined;
  const facts = await started(command, id, () => over);
  if (!facts) throwIfNeverStarted(await exited, output().stderr);
  const exec: RunningContainer["exec"] = (words, { timeoutMs } = {}) =>
    tryPodman(command, ["exec", id, ...words], { timeoutMs });
  // Podman leaves probing to systemd's timers, which are not there in most places where images are tried out.
  const check = facts && parseHealthcheck(healthcheck);
  monitor =
    check && !over
      ? monitorHealth({ check, probe: (words, timeoutMs) => exec(words, { timeoutMs }), onChange: options.onHealth })
      : undefined;
  const send = async (name: NodeJS.Signals) => void (await tryPodman(command, ["kill", "--signal", name, id]));
  return {
    id,
    pid: facts?.pid ?? 0,
    ports: facts?.ports ?? options.ports ?? [],
    startMs: performance.now() - startedAt,
    exited,
    exec,
    get health() {
      return monitor?.status ?? "none";
    },
    signal: (name) => void send(name),
    stop: async (name, graceMs = 10_000) => {
      if (name === undefined) {
        await tryPodman(command, ["stop", "--time", String(Math.ceil(graceMs / 1000)), id]);
        return await exited;
      }
      await send(name);
      const timer = setTimeout(() => void send("SIGKILL"), graceMs);
      try {
        return await exited;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function createArguments(options: ContainerOptions): string[] {
  const mounts = (options.mounts ?? []).flatMap(({ source, target, readOnly }) => [
    "--mount",
    `type=bind,source=${source},target=${target}${readOnly ? ",readonly" : ""}`,
  ]);
  return [
    "--name",
    `sheaf-${randomBytes(6).toString("hex")}`,
    "--label",
    "dev.sheaf.run=1",
    "--pull",
    "never",
    "--no-healthcheck",
    ...(options.ports ?? []).flatMap(({ host, container }) => ["--publish", `127.0.0.1:${host || ""}:${container}`]),
    ...Object.entries(options.env ?? {}).flatMap(([name, value]) => [
      "--env",
      isPodmans(name) ? `${name}=${value}` : name,
    ]),
    ...(options.user === undefined ? [] : ["--user", options.user]),
    ...(options.readOnly ? ["--read-only", "--read-only-tmpfs=false"] : []),
    ...(options.tmpfs ?? []).flatMap((folder) => ["--tmpfs", folder]),
    ...mounts,
    ...networkWords(options.network),
    ...(options.gpus ? ["--device", allGpus] : []),
    ...(options.memory === undefined ? [] : ["--memory", `${options.memory}b`]),
    ...(options.restricted ? ["--cap-drop", "all", "--security-opt", "no-new-privileges"] : []),
    ...(options.entrypoint ? ["--entrypoint", JSON.stringify(options.entrypoint)] : []),
    options.image,
    ...(options.command ?? []),
  ];
}

function networkWords(network: ContainerOptions["network"]): string[] {
  if (network === false) return ["--network", "none"];
  return typeof network === "string" ? ["--network", `container:${network}`] : [];
}

/** Variables that podman takes from its own environment, because everybody can read its arguments. */
function privateVariables(options: ContainerOptions): [string, string][] {
  return Object.entries(options.env ?? {}).filter(([name]) => !isPodmans(name));
}

/** Whether a variable would change podman itself. */
function isPodmans(name: string): boolean {
  return /^(PATH|HOME|USER|TMPDIR|XDG_.*|LD_.*|CONTAINER.*|STORAGE_.*|GO.*|.*_PROXY|.*_proxy)$/.test(name);
}

interface Facts {
  pid: number;
  ports: PortMapping[];
}

interface Inspection {
  State: { Pid: number; Status: string };
  NetworkSettings?: { Ports?: Record<string, { HostPort: string }[] | null> };
}

async function healthcheckOf(command: PodmanCommand, image: string): Promise<Healthcheck | undefined> {
  const text = await podman(command, ["image", "inspect", "--format", "{{json .HealthCheck}}", image]);
  return (JSON.parse(text) as Healthcheck | null) ?? undefined;
}

/** Waits until the container runs; undefined when it has ended before that was seen. */
async function started(command: PodmanCommand, id: string, over: () => boolean): Promise<Facts | undefined> {
  while (!over()) {
    const result = await tryPodman(command, ["container", "inspect", id]);
    // It is removed as soon as it has ended.
    if (result.code !== 0) return undefined;
    const [inspection] = JSON.parse(result.stdout) as Inspection[];
    if (inspection && inspection.State.Pid > 0) return factsOf(inspection);
    if (inspection?.State.Status === "exited") return undefined;
    await sleep(20);
  }
  return undefined;
}

/** Podman's own failures have the exit codes 125 to 127, which an image's command may have as well: then it has not said `Error:`. */
function throwIfNeverStarted(code: number, stderr: string): void {
  if (![125, 126, 127].includes(code) || !/^Error: /m.test(stderr)) return;
  const port = /(?:bind|listen).*?:(\d+).*address already in use/s.exec(stderr)?.[1];
  if (port) throw portTaken(Number(port), "podman");
  throw new SheafError("SHEAF_ENGINE", `podman did not start the image: ${stderr.trim()}`);
}

function factsOf(inspection: Inspection): Facts {
  const ports = Object.entries(inspection.NetworkSettings?.Ports ?? {}).flatMap(([name, bindings]) => {
    const host = bindings?.[0]?.HostPort;
    return host ? [{ container: Number.parseInt(name, 10), host: Number(host) }] : [];
  });
  return { pid: inspection.State.Pid, ports };
}
