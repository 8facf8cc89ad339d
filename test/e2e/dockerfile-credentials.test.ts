/** A private index behind a password and an authority of its own: what builds needs both, and what is built has neither. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { buildWheel } from "../wheel/build-wheel.ts";
import { build, buildKit, tryBuild } from "./buildkit.ts";
import { base, EngineRoom } from "./dockerfile-example.ts";
import { placesOf } from "./dockerfile-search.ts";
import { framework, projectOn, type ServedWheel, serveWheels } from "./local-index.ts";
import { sheaf, writeFiles } from "./sheaf.ts";

const client = await buildKit(base);

describe.skipIf(!client)("a Dockerfile for a private index (skipped without Docker and its base image)", () => {
  const room = new EngineRoom(client ?? "");
  const password = `token-${room.unique}`;

  /** The project with its Dockerfile, planned from an index that needs no password. */
  async function project(name: string): Promise<{ context: string; wheels: ServedWheel[] }> {
    // Secrets are no part of what BuildKit knows a step by: what is installed has to be new.
    const files = { "acmeprivate/__init__.py": `x = "${name} ${room.unique}"\n` };
    const wheels = [...framework(), buildWheel({ name: "acmeprivate", files })];
    const open = await serveWheels(wheels);
    const folder = writeFiles(room.folder(name), projectOn(wheels));
    const outcome = await sheaf(["dockerfile", folder], { env: open.env });
    expect(outcome.stderr).not.toMatch(/error/);
    expect(outcome.code).toBe(0);
    expect(fs.readFileSync(path.join(folder, "Dockerfile"), "utf8")).not.toContain(new URL(open.url).port);
    return { context: folder, wheels };
  }

  function pipConfig(name: string, url: string): string {
    const file = path.join(room.folder("secrets"), name);
    fs.writeFileSync(file, `[global]\nindex-url = ${url}\n`);
    return file;
  }

  it(
    "takes the password from a build secret, and leaves it in no layer, history or cache of the builder",
    { timeout: 240_000 },
    async () => {
      const { context, wheels } = await project("password");
      const index = await serveWheels(wheels, { credentials: `ci:${password}` });
      const options = { network: "host", tag: room.tag("password") };
      const secrets = [`id=pip.conf,src=${pipConfig("pip.conf", index.url)}`];

      const without = await tryBuild(room.client, context, {
        ...options,
        secrets: [`id=pip.conf,src=${pipConfig("without.conf", index.url.replace(`ci:${password}@`, ""))}`],
      });
      expect(without.code).not.toBe(0);

      const { log } = await build(room.client, context, { ...options, secrets });
      expect(index.requests.length).toBeGreaterThan(0);
      expect(log).not.toContain(password);
      const program = "import acmeprivate, fastapi; print(acmeprivate.x)";
      expect(await room.runOnce(options.tag, "python", "-c", program)).toBe(`password ${room.unique}`);

      const builder = room.tag("builder");
      await build(room.client, context, { ...options, secrets, target: "builder", tag: builder });
      for (const tag of [options.tag, builder]) {
        expect(await placesOf(room, tag, password)).toEqual([]);
        expect(await room.ask("history", "--no-trunc", tag)).not.toContain(password);
        expect(await room.ask("image", "inspect", tag)).not.toContain(password);
      }
    },
  );

  it("trusts an authority that a build secret names, while building and no longer", { timeout: 240_000 }, async () => {
    const { context, wheels } = await project("authority");
    const tls = certificate(room.folder("tls"));
    const index = await serveWheels(wheels, { tls, credentials: `ci:${password}` });
    const options = { network: "host", tag: room.tag("authority") };
    const config = `id=pip.conf,src=${pipConfig("tls.conf", index.url)}`;

    const without = await tryBuild(room.client, context, { ...options, secrets: [config] });
    expect(without.code).not.toBe(0);
    expect(without.log).toMatch(/CERTIFICATE_VERIFY_FAILED|certificate verify failed/);

    await build(room.client, context, { ...options, secrets: [config, `id=ca.crt,src=${tls.file}`] });
    expect(index.requests.length).toBeGreaterThan(0);
    const body = tls.cert.split("\n")[3] ?? "";
    expect(body.length).toBeGreaterThan(40);
    expect(await placesOf(room, options.tag, body)).toEqual([]);
  });
});

/** An authority that vouches for itself at 127.0.0.1. */
function certificate(folder: string): { cert: string; key: string; file: string } {
  const file = path.join(folder, "ca.crt");
  const keyFile = path.join(folder, "ca.key");
  const words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=sheaf-test -addext subjectAltName=IP:127.0.0.1";
  execFileSync("openssl", [...words.split(" "), "-keyout", keyFile, "-out", file], { stdio: "ignore" });
  return { cert: fs.readFileSync(file, "utf8"), key: fs.readFileSync(keyFile, "utf8"), file };
}
