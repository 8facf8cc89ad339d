import { spawn } from "node:child_process";
import * as net from "node:net";

/** A socket that listens keeps the network that it was made in: what accepts here connects there. */
const program = `
const net = require("node:net");
process.on("message", (port, server) => {
  server.on("connection", (client) => {
    const upstream = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    client.allowHalfOpen = true;
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.resetAndDestroy());
    upstream.on("connect", () => client.pipe(upstream).pipe(client));
    client.on("close", () => upstream.destroy());
  });
  process.send("ready");
});
process.on("disconnect", () => process.exit());
`;

export interface Relay {
  /** On 127.0.0.1 of this machine. */
  port: number;
  close(): void;
}

/**
 * Lets a free port of this machine lead to a port of another network.
 * @param entry words before a program that runs there
 */
export async function relayPort(entry: readonly string[], port: number): Promise<Relay> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const own = (server.address() as net.AddressInfo).port;
  const [first = "", ...words] = [...entry, process.execPath, "-e", program];
  // The image's environment is none of its business, nor are this process's own options.
  const { NODE_OPTIONS: _, ...environment } = process.env;
  const child = spawn(first, words, { stdio: ["ignore", "ignore", "pipe", "ipc"], env: environment });
  const errors: Buffer[] = [];
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`the relay ended: ${Buffer.concat(errors).toString("utf8").trim()}`)));
    child.send(port, server, (error) => {
      if (error) reject(error);
    });
  }).finally(() => server.close());
  child.on("error", () => undefined);
  return { port: own, close: () => void child.kill("SIGKILL") };
}
