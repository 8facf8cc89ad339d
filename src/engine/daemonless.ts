import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import type { Image } from "../oci/image.ts";
import { hostPlatform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import type { Running } from "./engine.ts";
import { enterNamespaces, networkEntry } from "./exec.ts";
import { parseHealthcheck, type HealthListener } from "./health.ts";
import { monitorHealth } from "./health-monitor.ts";
import { findImageUser, homeOf } from "./image-accounts.ts";
import { imageCommand, imageEnvironment } from "./image-command.ts";
import { resolveInImage } from "./image-path.ts";
import { startInNamespaces, type Mount, type NamespaceProcess } from "./namespaces.ts";
import { forwardPort, isPortTaken, portTaken, type PortMapping } from "./ports.ts";
import { prepareRootFileSystem, type RootFileSystem } from "./rootfs.ts";

export interface DaemonlessOptions {
  store: Store;
  /** The network is this machine's: a container port is open under its own number, another host port is forwarded to it. */
  ports?: PortMapping[];
  /** Over the image's own. */
  env?: Record<string, string>;
  /** Instead of the image's Cmd; its Entrypoint stays. */
  command?: string[];
  /** Instead of the image's User. */
  user?: string;
  /** Only /tmp, /run, /dev/shm and the mounts can be written. Otherwise what is written elsewhere is kept in memory and lost at the end. */
  readOnly?: boolean;
  mounts?: { source: string; target: string; readOnly?: boolean }[];
  /** False leaves the image nothing but its own loopback; the `inNetwork` of another shares that one's. True unless given. */
  network?: boolean | string[];
  emit: Emit;
  /** Called with what the image prints; it is dropped without. */
  onOutput?: (chunk: Uint8Array, stream: "stdout" | "stderr") => void;
  onHealth?: HealthListener;
}

/** An image that runs as processes of this one: it ends at the latest when this process does. */
export interface RunningImage extends Running {
  /** Words before a program of this machine that runs in the image's own network; undefined when it shares this machine's. */
  readonly inNetwork: string[] | undefined;
}

/**
 * Runs an image without an engine, without root: user namespaces by util-linux's unshare, the image's uid and gid, no capabilities, the
 * command as PID 1. The unpacked layers in the store are never written to.
 * @throws SheafError SHEAF_NAMESPACES, SHEAF_PLATFORM, SHEAF_PORT, SHEAF_IMAGE_USER, SHEAF_NO_COMMAND, SHEAF_LAYER
 */
export async function runDaemonless(image: Image, options: DaemonlessOptions): Promise<RunningImage> {
  const startedAt = performance.now();
  checkPlatform(image);
  const ports = options.ports ?? [];
  for (const { container } of ports) if (await isPortTaken(container)) throw portTaken(container);

  const runtime = image.config.config ?? {};
  const userText = options.user ?? runtime.User ?? "";
  const command = imageCommand(image.config, options.command);
  const { rootfs, user } = await prepareImage(image, options.store, userText);
  const environment = imageEnvironment(image.config, user, options.env);
  const workdir = resolveInImage(rootfs.root, runtime.WorkingDir || "/");
  const contained = await startInNamespaces({
    rootfs,
    user,
    command,
    environment,
    workdir,
    network: options.network ?? true,
    readOnly: options.readOnly ?? false,
    mounts: (options.mounts ?? []).map((mount) => resolveMount(mount, rootfs)),
  });
  if (!contained.writable && !options.readOnly) {
    options.emit({
      type: "warning",
      code: "SHEAF_READ_ONLY",
      message: "this kernel lets no user mount overlayfs, so the image's files are read-only",
      hint: "only /tmp and /run can be written; Linux 5.11 and newer allow it",
    });
  }
  forwardOutput(contained, options.onOutput);

  const forwards: { close(): Promise<void> }[] = [];
  try {
    for (const port of ports) if (port.host !== port.container) forwards.push(await forwardPort(port));
  } catch (error) {
    contained.kill("SIGKILL");
    await contained.exited;
    throw error;
  }
  return supervise({
    image,
    contained,
    environment,
    workdir,
    forwards,
    options,
    startMs: performance.now() - startedAt,
  });
}

/** Unpacks an image for running it as `userText`; afterwards a run starts in milliseconds. */
export async function prepareImage(
  image: Pick<Image, "layers">,
  store: Store,
  userText: string,
): Promise<{ rootfs: RootFileSystem; user: { uid: number; gid: number; home: string } }> {
  const { uid, gid } = await findImageUser(store, image, userText);
  const rootfs = await prepareRootFileSystem(store, image.layers, { uid, gid });
  return { rootfs, user: { uid, gid, home: homeOf(rootfs, userText) } };
}

interface Supervised {
  image: Image;
  contained: NamespaceProcess;
  environment: Record<string, string>;
  workdir: string;
  forwards: { close(): Promise<void> }[];
  options: DaemonlessOptions;
  startMs: number;
}

function supervise({ image, contained, environment, workdir, forwards, options, startMs }: Supervised): RunningImage {
  const runtime = image.config.config ?? {};
  const exec: RunningImage["exec"] = (command, { timeoutMs } = {}) =>
    enterNamespaces({ ...contained, command, environment, workdir, timeoutMs });
  const check = parseHealthcheck(runtime.Healthcheck, runtime.Shell);
  const monitor =
    check &&
    monitorHealth({ check, probe: (command, timeoutMs) => exec(command, { timeoutMs }), onChange: options.onHealth });

  const exited = contained.exited.then(async (code) => {
    monitor?.stop();
    await Promise.all(forwards.map((forward) => forward.close()));
    return code;
  });
  return {
    pid: contained.pid,
    inNetwork: inNetworkOf(contained),
    ports: options.ports ?? [],
    startMs,
    exited,
    exec,
    signal: (signal) => contained.kill(signal),
    get health() {
      return monitor?.status ?? "none";
    },
    stop: async (signal = stopSignal(runtime.StopSignal), graceMs = 10_000) => {
      contained.kill(signal);
      const timer = setTimeout(() => contained.kill("SIGKILL"), graceMs);
      try {
        return await exited;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function inNetworkOf(contained: NamespaceProcess): string[] | undefined {
  if (contained.network === true) return undefined;
  return contained.network === false ? networkEntry(contained) : contained.network;
}

/** @throws SheafError SHEAF_PLATFORM */
function checkPlatform(image: Pick<Image, "config">): void {
  const { os, architecture } = image.config;
  const host = hostPlatform();
  if (!host) {
    throw new SheafError(
      "SHEAF_NAMESPACES",
      `an image runs without an engine on Linux only, and this is ${process.platform}`,
      {
        hint: "run it in Docker or Podman",
      },
    );
  }
  if (os === host.os && architecture === host.architecture) return;
  throw new SheafError(
    "SHEAF_PLATFORM",
    `the image is for ${os}/${architecture}, and this machine is ${host.os}/${host.architecture}`,
    {
      hint: [
        `build it for this machine: sheaf build --platform ${host.os}/${host.architecture}`,
        "or run it in an engine that emulates",
      ],
    },
  );
}

function resolveMount(mount: { source: string; target: string; readOnly?: boolean }, rootfs: RootFileSystem): Mount {
  return { source: mount.source, target: resolveInImage(rootfs.root, mount.target), readOnly: mount.readOnly ?? false };
}

function forwardOutput(contained: NamespaceProcess, onOutput: DaemonlessOptions["onOutput"]): void {
  contained.stdout.on("data", (chunk: Buffer) => onOutput?.(chunk, "stdout"));
  contained.stderr.on("data", (chunk: Buffer) => onOutput?.(chunk, "stderr"));
}

/** `SIGQUIT` and `QUIT` as images write it. */
function stopSignal(text: string | undefined): NodeJS.Signals {
  const name = `SIG${(text ?? "TERM").replace(/^SIG/, "")}`;
  const known: NodeJS.Signals[] = [
    "SIGTERM",
    "SIGINT",
    "SIGQUIT",
    "SIGHUP",
    "SIGKILL",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
  ];
  return known.find((signal) => signal === name) ?? "SIGTERM";
}
