import type { Image } from "../../oci/image.ts";
import type { Running } from "../../engine/engine.ts";

/** What runs images: an engine, or namespaces of this user. */
export interface Runtime {
  /** `--engine`'s word. */
  readonly kind: "docker" | "podman" | "none";
  /** One line for people: `Docker 20.10.24 at /var/run/docker.sock`. */
  readonly description: string;
  /** Starts a container in a network of its own, where the ports are all free. */
  start(options: StartOptions): Promise<Started>;
  /** Takes away what was brought in to start containers; they have to be gone. */
  close(): Promise<void>;
}

export interface StartOptions {
  /** Instead of entrypoint and command. */
  command?: string[];
  /** Over the image's own variables. */
  env?: Record<string, string>;
  user?: string;
  /** Nothing but /tmp can be written. */
  readOnly?: boolean;
  /** No capability, and no way to one. */
  restricted?: boolean;
  /** False leaves loopback alone; then nothing can be asked from outside. */
  network?: boolean;
  /** Port of the container that is to be reached from here. */
  port?: number;
  onOutput: (chunk: Uint8Array, stream: "stdout" | "stderr") => void;
}

export interface Started {
  running: Running;
  /** When its command was started, of `performance.now()`. */
  startedAt: number;
  /** Port of this machine, on 127.0.0.1, that leads to the container's. */
  port?: number;
}

/** The image as it is, but for what it starts. */
export function withCommand(image: Image, command: string[] | undefined): Image {
  if (!command) return image;
  const { Entrypoint: _, ...rest } = image.config.config ?? {};
  return { ...image, config: { ...image.config, config: { ...rest, Cmd: command } } };
}
