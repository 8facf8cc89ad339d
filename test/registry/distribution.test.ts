import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { writeLayout } from "../../src/oci/layout.ts";
import { pullImage } from "../../src/registry/pull.ts";
import { parseRegistryReference } from "../../src/registry/reference.ts";
import { sha256 } from "../../src/store/store.ts";
import { freePort } from "../e2e/ports.ts";
import { output, pythonWith, requireOrSkip, tool } from "../lab/lab.ts";
import { temporary } from "../archive/oracle.ts";
import { d, f, imageOf, layerOf } from "../oci/images.ts";

const registry = tool("docker-registry");
const skopeo = tool("skopeo");
const crane = tool("crane");
const openssl = tool("openssl");
const python = pythonWith("crypt");
const usable = requireOrSkip(
  "docker-registry, skopeo, openssl and Python's crypt",
  registry && skopeo && openssl && python,
);

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-registry-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]) => path.join(folder, ...names);
const image = imageOf([layerOf([d("app"), f("app/a", "a".repeat(500_000))]), layerOf([f("app/b")])]);
const login = { username: "anna", password: "s3cret:with a colon" };

/** Debian's docker-registry on loopback, with a certificate of a test's own authority and a password file. */
interface Registry {
  host: string;
  home: string;
  stop(): Promise<void>;
}

async function startRegistry(): Promise<Registry> {
  const port = await freePort();
  const host = `localhost:${port}`;
  makeCertificates();
  const hash = execFileSync(python ?? "", ["-W", "ignore", "-c", hashProgram], {
    input: login.password,
    encoding: "utf8",
  });
  fs.writeFileSync(at("htpasswd"), `${login.username}:${hash.trim()}\n`);
  fs.writeFileSync(
    at("config.yml"),
    JSON.stringify({
      version: 0.1,
      log: { level: "error" },
      storage: { filesystem: { rootdirectory: at("data") } },
      auth: { htpasswd: { realm: "it", path: at("htpasswd") } },
      http: { addr: `127.0.0.1:${port}`, secret: "s", tls: { certificate: at("server.crt"), key: at("server.key") } },
    }),
  );
  const child = spawn(registry ?? "", ["serve", at("config.yml")], { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const home = at("home");
  fs.mkdirSync(path.join(home, ".docker"), { recursive: true });
  const auth = Buffer.from(`${login.username}:${login.password}`).toString("base64");
  fs.writeFileSync(path.join(home, ".docker", "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
  const stop = async () => {
    child.kill();
    await ended;
  };
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (await listens(port)) return { host, home, stop };
    await sleep(50);
  }
  await stop();
  throw new Error("docker-registry did not start");
}

const hashProgram =
  "import crypt, sys; print(crypt.crypt(sys.stdin.read(), crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=32)))";

function makeCertificates(): void {
  const run = (...words: string[]) => execFileSync(openssl ?? "", words, { stdio: "ignore", cwd: folder });
  run(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=Test CA",
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
  );
  run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr");
  fs.writeFileSync(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  run(
    "x509",
    "-req",
    "-in",
    "server.csr",
    "-CA",
    "ca.crt",
    "-CAkey",
    "ca.key",
    "-days",
    "2",
    "-extfile",
    "names",
    "-out",
    "server.crt",
  );
}

async function listens(port: number): Promise<boolean> {
  const { connect } = await import("node:net");
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

describe.skipIf(!usable)("Debian's docker-registry, with TLS and a password", () => {
  let running: Registry;
  beforeAll(async () => {
    running = await startRegistry();
    await writeLayout(at("layout"), image, { tag: "1.0" });
    await push("--format", "oci", `docker://${running.host}/team/app:1.0`);
    await push("--format", "v2s2", `docker://${running.host}/team/app:docker`);
  });
  afterAll(() => running?.stop());

  const push = (...words: string[]) =>
    output(skopeo ?? "", [
      "copy",
      "--dest-tls-verify=false",
      `--dest-authfile=${running.home}/.docker/config.json`,
      ...words.slice(0, 2),
      `oci:${at("layout")}:1.0`,
      ...words.slice(2),
    ]);

  const environment = (more: NodeJS.ProcessEnv = {}) => ({
    PATH: process.env["PATH"],
    HOME: running.home,
    SSL_CERT_FILE: at("ca.crt"),
    ...more,
  });

  async function digests(name: string, more?: NodeJS.ProcessEnv) {
    const reference = parseRegistryReference(`${running.host}/${name}`);
    if (!reference) throw new Error(name);
    const pulled = await pullImage(reference, { environment: environment(more) });
    try {
      const layers: string[] = [];
      for (const layer of pulled.image.layers) {
        const chunks: Uint8Array[] = [];
        for await (const chunk of layer.uncompressed()) chunks.push(chunk);
        layers.push(sha256(Buffer.concat(chunks)));
      }
      return { digest: pulled.digest, layers, type: pulled.image.manifest.mediaType };
    } finally {
      await pulled.close();
    }
  }

  it.each(["1.0", "docker"])("reads what skopeo pushed as %s, as skopeo does", async (tag) => {
    const found = await digests(`team/app:${tag}`);
    expect(found.layers).toEqual(image.layers.map(({ diffId }) => diffId));
    const seen = await output(skopeo ?? "", [
      "inspect",
      "--tls-verify=false",
      `--authfile=${running.home}/.docker/config.json`,
      "--format={{.Digest}}",
      `docker://${running.host}/team/app:${tag}`,
    ]);
    expect(found.digest).toBe(seen.trim());
    expect(await digests(`team/app@${found.digest}`)).toEqual(found);
  });

  it.skipIf(!requireOrSkip("crane", crane))("names the same digest as crane", async () => {
    const digest = execFileSync(crane ?? "", ["digest", "--insecure", `${running.host}/team/app:docker`], {
      encoding: "utf8",
      env: { ...process.env, HOME: running.home, DOCKER_CONFIG: `${running.home}/.docker` },
    });
    expect((await digests("team/app:docker")).digest).toBe(digest.trim());
  });

  it("takes the certificate from where engines keep it", async () => {
    const certificates = path.join(running.home, ".config", "containers", "certs.d", running.host);
    fs.mkdirSync(certificates, { recursive: true });
    fs.copyFileSync(at("ca.crt"), path.join(certificates, "ca.crt"));
    expect((await digests("team/app:1.0", { SSL_CERT_FILE: "" })).digest).toBe(image.digest);
    fs.rmSync(path.join(running.home, ".config"), { recursive: true });
  });

  it("refuses a certificate of nobody that it knows, and never goes on without TLS", async () => {
    await expect(digests("team/app:1.0", { SSL_CERT_FILE: "" })).rejects.toMatchObject({
      code: "SHEAF_FETCH",
      details: expect.arrayContaining([["from", `https://${running.host}/v2/`]]),
    });
  });

  it("says how to log in, and when the password is wrong", async () => {
    const nobody = temporary();
    await expect(digests("team/app:1.0", { HOME: nobody })).rejects.toMatchObject({
      code: "SHEAF_REGISTRY_AUTH",
      hints: [`docker login ${running.host}, or podman login ${running.host}`],
    });
    fs.mkdirSync(path.join(nobody, ".docker"));
    const wrong = { auths: { [running.host]: { username: "anna", password: "wrong" } } };
    fs.writeFileSync(path.join(nobody, ".docker", "config.json"), JSON.stringify(wrong));
    await expect(digests("team/app:1.0", { HOME: nobody })).rejects.toMatchObject({
      code: "SHEAF_REGISTRY_AUTH",
      message: /refused access \(401\)/,
    });
  });

  it("passes on what the registry says of a tag that it has not", async () => {
    await expect(digests("team/app:2.0")).rejects.toMatchObject({
      code: "SHEAF_REGISTRY",
      details: [["it says", "manifest unknown"]],
    });
  });
});
