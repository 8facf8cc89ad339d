import { randomBytes } from "node:crypto";

import { SheafError } from "../../errors.ts";
import type { ContainerOptions, RunningContainer } from "../engine.ts";
import type { ExecResult } from "../exec.ts";
import { probeEvidence, type HealthListener, type HealthStatus } from "../health.ts";
import { boundedText } from "../bounded-output.ts";
import { allGpus } from "../gpus.ts";
import { portTaken, type PortMapping } from "../ports.ts";
import type { DockerApi } from "./api.ts";
import { readFrames } from "./stream.ts";

/** What of `GET /containers/ID/json` is read. */
interface Inspection {
  State: { Pid: number; Health?: { Status: string; Log?: { ExitCode: number; Output: string }[] | null } };
  NetworkSettings: { Ports?: Record<string, { HostIp: string; HostPort: string }[] | null> };
}

/** Creates and starts a container, and removes it whatever happens once it has ended. */
export async function runInDocker(api: DockerApi, options: ContainerOptions): Promise<RunningContainer> {
  const startedAt = performance.now();
  const created = await api.json<{ Id: string }>({
    method: "POST",
    path: "/containers/create",
    query: { name: `sheaf-${randomBytes(6).toString("hex")}` },
    body: creation(options),
  });
  if (!created) throw new Error("Docker created a container without an id");
  const id = created.Id;
  try {
    const output = await api.open({
      method: "POST",
      path: `/containers/${id}/attach`,
      query: { stream: "1", stdout: "1", stderr: "1" },
    });
    const printed = passOn(output, options.onOutput);
    await api.json({ method: "POST", path: `/containers/${id}/start` });
    const startMs = performance.now() - startedAt;
    const inspection = await inspect(api, id);
    return supervise({ api, id, options, inspection, printed, startMs });
  } catch (error) {
    await remove(api, id);
    throw portProblem(error) ?? error;
  }
}

function creation(options: ContainerOptions): unknown {
  const ports = options.ports ?? [];
  return {
    Image: options.image,
    ...(options.command ? { Cmd: options.command } : {}),
    ...(options.entrypoint ? { Entrypoint: options.entrypoint } : {}),
    ...(options.user === undefined ? {} : { User: options.user }),
    Env: Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`),
    Labels: { "dev.sheaf.run": "1" },
    ExposedPorts: Object.fromEntries(ports.map(({ container }) => [`${container}/tcp`, {}])),
    HostConfig: {
      PortBindings: Object.fromEntries(ports.map((port) => [`${port.container}/tcp`, bindings(port)])),
      ReadonlyRootfs: options.readOnly ?? false,
      Tmpfs: Object.fromEntries((options.tmpfs ?? []).map((folder) => [folder, ""])),
      Mounts: (options.mounts ?? []).map((mount) => ({
        Type: "bind",
        Source: mount.source,
        Target: mount.target,
        ReadOnly: mount.readOnly ?? false,
      })),
      ...networkMode(options.network),
      ...(options.memory === undefined ? {} : { Memory: options.memory }),
      ...(options.gpus ? { DeviceRequests: [deviceRequest(options.gpus)] } : {}),
      ...(options.restricted
        ? {
            CapDrop: ["ALL"],
            SecurityOpt: ["no-new-privileges"],
            // Docker lets everybody have every port in a network of its own, Kubernetes does not.
            ...((options.network ?? true) === true
              ? { Sysctls: { "net.ipv4.ip_unprivileged_port_start": "1024" } }
              : {}),
          }
        : {}),
    },
  };
}

/** As `docker run --gpus all` and `--device nvidia.com/gpu=all` ask for them. */
function deviceRequest(gpus: NonNullable<ContainerOptions["gpus"]>): unknown {
  return gpus === "cdi" ? { Driver: "cdi", DeviceIDs: [allGpus] } : { Driver: "", Count: -1, Capabilities: [["gpu"]] };
}

function networkMode(network: ContainerOptions["network"]): { NetworkMode?: string } {
  if (network === false) return { NetworkMode: "none" };
  return typeof network === "string" ? { NetworkMode: `container:${network}` } : {};
}

function bindings({ host }: PortMapping): { HostIp: string; HostPort: string }[] {
  return [{ HostIp: "127.0.0.1", HostPort: host === 0 ? "" : String(host) }];
}

interface Supervised {
  api: DockerApi;
  id: string;
  options: ContainerOptions;
  inspection: Inspection;
  printed: Promise<void>;
  startMs: number;
}

function supervise({ api, id, options, inspection, printed, startMs }: Supervised): RunningContainer {
  const monitor = watchHealth(api, { id, initial: healthOf(inspection), onHealth: options.onHealth });
  const exited = (async () => {
    try {
      const result = await api.json<{ StatusCode: number }>({ method: "POST", path: `/containers/${id}/wait` });
      await printed;
      return result?.StatusCode ?? 0;
    } finally {
      monitor.stop();
      await remove(api, id);
    }
  })();
  // Whoever does not wait for the end is not to be hit by it; those who do see the error all the same.
  exited.catch(() => undefined);
  const signal = async (name: NodeJS.Signals) => {
    await api.json({ method: "POST", path: `/containers/${id}/kill`, query: { signal: name }, accept: [404, 409] });
  };
  return {
    id,
    pid: inspection.State.Pid,
    ports: grantedPorts(inspection, options.ports ?? []),
    startMs,
    exited,
    get health() {
      return monitor.status();
    },
    signal: (name) => void signal(name).catch(() => undefined),
    stop: async (name, graceMs = 10_000) => {
      if (name === undefined) {
        const t = String(Math.ceil(graceMs / 1000));
        await api.json({ method: "POST", path: `/containers/${id}/stop`, query: { t }, accept: [404, 409] });
        return await exited;
      }
      await signal(name);
      const timer = setTimeout(() => void signal("SIGKILL").catch(() => undefined), graceMs);
      try {
        return await exited;
      } finally {
        clearTimeout(timer);
      }
    },
    exec: (command, { timeoutMs } = {}) => execInDocker(api, { id, command, timeoutMs }),
  };
}

function grantedPorts(inspection: Inspection, ports: PortMapping[]): PortMapping[] {
  return ports.map(({ host, container }) => {
    const granted = inspection.NetworkSettings.Ports?.[`${container}/tcp`]?.[0]?.HostPort;
    return { container, host: granted ? Number(granted) : host };
  });
}

async function execInDocker(
  api: DockerApi,
  { id, command, timeoutMs }: { id: string; command: string[]; timeoutMs?: number },
): Promise<ExecResult> {
  const created = await api.json<{ Id: string }>({
    method: "POST",
    path: `/containers/${id}/exec`,
    body: { Cmd: command, AttachStdout: true, AttachStderr: true },
  });
  const texts = { stdout: boundedText(), stderr: boundedText() };
  const signal = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  try {
    const output = await api.open({
      method: "POST",
      path: `/exec/${created?.Id}/start`,
      body: { Detach: false, Tty: false },
      signal,
    });
    for await (const { stream, bytes } of readFrames(output)) texts[stream].add(bytes);
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  const printed = { stdout: texts.stdout.text(), stderr: texts.stderr.text() };
  // The Engine API can't end what exec has started; it ends with the container.
  if (signal?.aborted) return { code: 124, ...printed };
  const result = await api.json<{ ExitCode: number | null }>({ method: "GET", path: `/exec/${created?.Id}/json` });
  return { code: result?.ExitCode ?? 0, ...printed };
}

interface HealthWatch {
  id: string;
  initial: HealthStatus;
  onHealth?: HealthListener;
}

/** Docker probes by itself; this asks for the outcome, often at first and rarely once it is known. */
function watchHealth(api: DockerApi, { id, initial, onHealth }: HealthWatch): { status(): HealthStatus; stop(): void } {
  let status = initial;
  let stopped = initial === "none";
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    const inspection = await inspect(api, id).catch(() => undefined);
    if (stopped) return;
    const seen = inspection ? healthOf(inspection) : status;
    if (seen !== status) onHealth?.((status = seen), evidenceOf(inspection));
    schedule();
  };
  const schedule = () => {
    timer = setTimeout(() => void look(), status === "starting" ? 250 : 1000);
    timer.unref();
  };
  if (!stopped) schedule();
  return {
    status: () => status,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function healthOf(inspection: Inspection): HealthStatus {
  const status = inspection.State.Health?.Status;
  return status === "starting" || status === "healthy" || status === "unhealthy" ? status : "none";
}

function evidenceOf(inspection: Inspection | undefined): string {
  const last = inspection?.State.Health?.Log?.at(-1);
  return last ? probeEvidence(last.ExitCode, last.Output) : "";
}

async function inspect(api: DockerApi, id: string): Promise<Inspection> {
  const inspection = await api.json<Inspection>({ method: "GET", path: `/containers/${id}/json` });
  if (!inspection) throw new Error(`Docker does not know its own container ${id}`);
  return inspection;
}

async function passOn(output: AsyncIterable<Uint8Array>, onOutput: ContainerOptions["onOutput"]): Promise<void> {
  try {
    for await (const { stream, bytes } of readFrames(output)) onOutput?.(bytes, stream);
  } catch {
    // A daemon that goes away is told of by the wait for the exit code.
  }
}

async function remove(api: DockerApi, id: string): Promise<void> {
  await api
    .json({ method: "DELETE", path: `/containers/${id}`, query: { force: "1", v: "1" }, accept: [404, 409] })
    .catch(() => undefined);
}

function portProblem(error: unknown): SheafError | undefined {
  if (!(error instanceof SheafError)) return undefined;
  const port = /(?:127\.0\.0\.1|0\.0\.0\.0):(\d+).*(?:already allocated|already in use)/s.exec(error.message)?.[1];
  return port ? portTaken(Number(port), "docker") : undefined;
}
