import type { Image } from "../../oci/image.ts";
import type { Running } from "../../engine/engine.ts";

/** What runs images: an engine, or namespaces of this user. */
export interface Runtime {
  /** `--engine`'s word. */
  readonly kind: "docker" | "podman" | "none";
  /** One line for people: `Docker 20.10.24 at /var/run/docker.sock`. */
  readonly description: string;
  /** Starts a container in a network of its own, where the ports are all free, or in another container's. */
  start(options: StartOptions): Promise<Started>;
  /** The same for another image; it is closed by itself. */
  beside(image: Image): Runtime;
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
  /** False leaves loopback alone; then nothing can be asked from outside. Another's is shared with it, with the ports that lead there. */
  network?: boolean | SharedNetwork;
  /** Ports of the container that are to be reached from here. */
  ports?: number[];
  onOutput: (chunk: Uint8Array, stream: "stdout" | "stderr") => void;
}

/** A container's network as its runtime knows it: by the container's id, or by the words before a program that is to run in it. */
export type SharedNetwork = { id: string } | { entry: string[] };

export interface Started {
  running: Running;
  /** When its command was started, of `performance.now()`. */
  startedAt: number;
  /** Ports of this machine, on 127.0.0.1, by the container's that they lead to. */
  ports: ReadonlyMap<number, number>;
  network?: SharedNetwork;
}

/** The image as it is, but for what it starts. */
export function withCommand(image: Image, command: string[] | undefined): Image {
  if (!command) return image;
  const { Entrypoint: _, ...rest } = image.config.config ?? {};
  return { ...image, config: { ...image.config, config: { ...rest, Cmd: command } } };
}
