import type { Emit } from "../events.ts";
import type { Image } from "../oci/image.ts";
import type { ExecResult } from "./exec.ts";
import type { HealthListener, HealthStatus } from "./health.ts";
import type { PortMapping } from "./ports.ts";

/** A container engine on this machine, or one that this machine is set up to talk to. */
export interface Engine {
  readonly kind: "docker" | "podman";
  /** `20.10.24` */
  readonly version: string;
  /** One line for people: `Docker 20.10.24 at /var/run/docker.sock`. */
  describe(): string;
  /** The id that the engine has under a tag: the config's digest, or the manifest's where containerd keeps the images. */
  imageId(tag: string): Promise<string | undefined>;
  /** Every tag that it has, as it shows them. */
  tags(): Promise<string[]>;
  /**
   * Brings an image into the engine under `tag`. Layers that it has are not sent, nor anything when it has the image.
   * @throws SheafError SHEAF_ENGINE
   */
  load(image: Image, tag: string, emit: Emit): Promise<LoadResult>;
  /** Takes a tag away, and the image with it when no other is left. A missing one is no error. */
  removeImage(tag: string): Promise<void>;
  /**
   * Writes an image that the engine has into a new file: an archive as `docker save` or `podman save` make it.
   * @throws SheafError SHEAF_ENGINE, SHEAF_DISK_FULL
   */
  save(tag: string, file: string, signal?: AbortSignal): Promise<void>;
  /** @throws SheafError SHEAF_ENGINE, SHEAF_PORT */
  run(options: ContainerOptions): Promise<RunningContainer>;
}

export interface LoadResult {
  /** Bytes that left this process. */
  transferred: number;
  layersReused: number;
  seconds: number;
  /** `none`: the engine had the image. */
  way: "registry" | "archive" | "none";
}

export interface ContainerOptions {
  /** Tag or id of an image that the engine has. */
  image: string;
  /** Instead of the image's Cmd. */
  command?: string[];
  /** Instead of the image's Entrypoint. */
  entrypoint?: string[];
  /** Over the image's own. */
  env?: Record<string, string>;
  user?: string;
  /** Bound to 127.0.0.1; host port 0 lets the engine choose. */
  ports?: PortMapping[];
  readOnly?: boolean;
  /** Folders of the container that are kept in memory. */
  tmpfs?: string[];
  mounts?: { source: string; target: string; readOnly?: boolean }[];
  /** False runs it without any network; the id of a container shares that one's, with the ports that it publishes. */
  network?: boolean | string;
  /** Bytes. */
  memory?: number;
  /** No capability and no way to gain one, as Kubernetes' profile "restricted" has it; ports below 1024 are root's. */
  restricted?: boolean;
  /** All GPUs of the machine, by the engine's own means or by the names of the Container Device Interface (`nvidia.com/gpu=all`). */
  gpus?: "engine" | "cdi";
  onOutput?: (chunk: Uint8Array, stream: "stdout" | "stderr") => void;
  onHealth?: HealthListener;
}

/** An image that runs, wherever. */
export interface Running {
  /** PID of the image's PID 1 as this machine sees it; 0 when the engine is on another one. */
  readonly pid: number;
  /** With the host's ports as they were given out. */
  readonly ports: PortMapping[];
  /** Milliseconds from the call to the start of the image's command. */
  readonly startMs: number;
  readonly health: HealthStatus;
  /** The exit code, 128 + n for death by signal n. Settles once everything has been torn down. */
  readonly exited: Promise<number>;
  /** Sends the signal (the image's StopSignal unless given) and, after the grace period (10 s), SIGKILL. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<number>;
  /** Passes a signal on to the image's PID 1. */
  signal(signal: NodeJS.Signals): void;
  /** Runs a command beside the image's own, as its user. */
  exec(command: string[], options?: { timeoutMs?: number }): Promise<ExecResult>;
}

export interface RunningContainer extends Running {
  readonly id: string;
}
