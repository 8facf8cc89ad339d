import { createHash } from "node:crypto";

import { describe, expect, it } from "vitest";

import { dockerEndpoints, isLocal, type Endpoint } from "../../../src/engine/docker/endpoint.ts";

const id = createHash("sha256").update("work").digest("hex");
const files: Record<string, string> = {
  "/home/me/.docker/config.json": '{"currentContext":"work"}',
  "/other/config.json": "{}",
  "/broken/config.json": "{",
  [`/home/me/.docker/contexts/meta/${id}/meta.json`]: '{"Endpoints":{"docker":{"Host":"unix:///run/work.sock"}}}',
  "/certs/ca.pem": "CA",
  "/certs/cert.pem": "CERT",
  "/certs/key.pem": "KEY",
};
const find = (environment: NodeJS.ProcessEnv) =>
  dockerEndpoints({ HOME: "/home/me", ...environment }, (file) => files[file]);
const socket = (path: string): Endpoint => ({ kind: "socket", path });

describe("dockerEndpoints", () => {
  it("takes DOCKER_HOST before the context", () => {
    expect(find({ DOCKER_HOST: "unix:///a.sock" })).toEqual([socket("/a.sock")]);
    expect(find({ DOCKER_HOST: "tcp://10.0.0.1:2375" })).toEqual([{ kind: "tcp", host: "10.0.0.1", port: 2375 }]);
    expect(find({ DOCKER_HOST: "tcp://[::1]" })).toEqual([{ kind: "tcp", host: "::1", port: 2375 }]);
  });

  it("takes the current context, or the one of DOCKER_CONTEXT", () => {
    expect(find({})).toEqual([socket("/run/work.sock")]);
    expect(find({ DOCKER_CONTEXT: "default" })[0]).toEqual(socket("/var/run/docker.sock"));
    expect(find({ DOCKER_CONTEXT: "no-such" })[0]).toEqual(socket("/var/run/docker.sock"));
  });

  it("looks at the usual sockets where nothing is chosen", () => {
    for (const DOCKER_CONFIG of ["/other", "/broken", "/missing"]) {
      expect(find({ DOCKER_CONFIG, XDG_RUNTIME_DIR: "/run/user/7" })).toEqual(
        [
          "/var/run/docker.sock",
          "/run/user/7/docker.sock",
          "/home/me/.docker/run/docker.sock",
          "/home/me/.docker/desktop/docker.sock",
        ].map(socket),
      );
    }
  });

  it("brings the certificates where TLS is asked for", () => {
    const [endpoint] = find({
      DOCKER_HOST: "tcp://build.example.test",
      DOCKER_TLS_VERIFY: "1",
      DOCKER_CERT_PATH: "/certs",
    });
    const tls = { ca: "CA", cert: "CERT", key: "KEY", verify: true };
    expect(endpoint).toEqual({ kind: "tcp", host: "build.example.test", port: 2376, tls });
  });

  it("does not guess when the chosen one can't be spoken to", () => {
    expect(find({ DOCKER_HOST: "ssh://me@host" })).toEqual([]);
    expect(find({ DOCKER_HOST: "npipe:////./pipe/docker" })).toEqual([]);
  });

  it("knows which daemons can reach our loopback", () => {
    const tcp = (host: string): Endpoint => ({ kind: "tcp", host, port: 1 });
    expect(
      [socket("/x"), tcp("127.0.0.1"), tcp("localhost"), tcp("10.0.0.1"), tcp("127.example.test")].map(isLocal),
    ).toEqual([...[true, true, true, false, false]]);
  });
});
