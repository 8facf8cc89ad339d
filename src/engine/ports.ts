import * as net from "node:net";

import { SheafError } from "../errors.ts";

export interface PortMapping {
  host: number;
  container: number;
}

/** True when something listens on the port, on any address of this machine. */
export async function isPortTaken(port: number): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(true);
      else reject(portError(port, error));
    });
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => server.close(() => resolve(false)));
  });
}

function portError(port: number, error: NodeJS.ErrnoException): Error {
  if (error.code !== "EACCES") return error;
  return new SheafError("SHEAF_PORT", `port ${port} is reserved for root`, {
    hint: "choose one from 1024 on: sheaf run -p 8080:PORT",
    cause: error,
  });
}

/** Forwards 127.0.0.1:host to 127.0.0.1:container inside this process. */
export async function forwardPort({ host, container }: PortMapping): Promise<{ close(): Promise<void> }> {
  const open = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const upstream = net.connect({ port: container, host: "127.0.0.1", allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
    }
    client.once("error", () => upstream.destroy());
    upstream.once("error", () => client.destroy());
    upstream.once("connect", () => {
      client.pipe(upstream).pipe(client);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? portTaken(host) : portError(host, error)),
    );
    server.listen(host, "127.0.0.1", resolve);
  });
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** The answer to a port that is in use. Without an engine an image shares this machine's network. */
export function portTaken(port: number, where: "here" | "docker" | "podman" = "here"): SheafError {
  const elsewhere =
    where === "here"
      ? [
          "or let the app listen on another one: without an engine the image shares this machine's network",
          "or run the image in Docker or Podman, where its ports are its own",
        ]
      : ["or choose another one: sheaf run -p OTHER:PORT"];
  return new SheafError("SHEAF_PORT", `port ${port} is taken by another program on this machine`, {
    hint: ["stop that program (ss -ltnp shows it)", ...elsewhere],
  });
}
