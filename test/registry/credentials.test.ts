import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { registryCredentials } from "../../src/registry/credentials.ts";
import { temporary } from "../archive/oracle.ts";

const host = "registry.example.test";
const basic = (username: string, password: string) => ({ kind: "basic", username, password });
const encoded = (text: string) => Buffer.from(text).toString("base64");

interface Machine {
  docker?: unknown;
  podman?: unknown;
  /** Name of a helper → a shell script. */
  helpers?: Record<string, string>;
}

function machine({ docker, podman, helpers = {} }: Machine): NodeJS.ProcessEnv {
  const home = temporary();
  const write = (file: string, content: unknown) => {
    fs.mkdirSync(path.dirname(path.join(home, file)), { recursive: true });
    fs.writeFileSync(path.join(home, file), typeof content === "string" ? content : JSON.stringify(content));
  };
  if (docker !== undefined) write(".docker/config.json", docker);
  if (podman !== undefined) write(".config/containers/auth.json", podman);
  for (const [name, script] of Object.entries(helpers)) {
    write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`);
    fs.chmodSync(path.join(home, "bin", `docker-credential-${name}`), 0o755);
  }
  return { HOME: home, PATH: `${home}/bin:/usr/bin:/bin` };
}

const ask = (of: Machine, name = host, repository = "team/app") => registryCredentials(name, repository, machine(of));

describe("registryCredentials", () => {
  it.each([
    ["auth", { auth: encoded("anna:pass:word") }, basic("anna", "pass:word")],
    ["auth with a NUL at its end, as old clients wrote", { auth: encoded("anna:secret\0") }, basic("anna", "secret")],
    ["username and password", { username: "anna", password: "secret" }, basic("anna", "secret")],
    ["an identity token", { auth: encoded("anna:"), identitytoken: "idt" }, { kind: "identity", token: "idt" }],
    ["a registry token", { registrytoken: "rt" }, { kind: "bearer", token: "rt" }],
    ["nothing", {}, undefined],
    ["auth that is no pair", { auth: encoded("anna") }, undefined],
    ["something else", "anna", undefined],
  ])("reads %s", async (_, entry, expected) => {
    expect(await ask({ docker: { auths: { [host]: entry } } })).toEqual(expected);
  });

  it.each([
    [`https://${host}`, host],
    [`https://${host}/v1/`, host],
    [`https://${host}/v2/`, host],
    [`${host}:5000`, `${host}:5000`],
    ["https://index.docker.io/v1/", "docker.io"],
  ])("finds %s for %s", async (key, name) => {
    expect(await ask({ docker: { auths: { [key]: { auth: encoded("a:b") } } } }, name)).toEqual(basic("a", "b"));
    expect(await ask({ docker: { auths: { [key]: { auth: encoded("a:b") } } } }, `other.${name}`)).toBeUndefined();
  });

  it("prefers a repository's own credentials, the nearest first", async () => {
    const auths = {
      [host]: { auth: encoded("host:1") },
      [`${host}/team`]: { auth: encoded("team:1") },
      [`${host}/team/app`]: { auth: encoded("app:1") },
    };
    expect(await ask({ podman: { auths } })).toEqual(basic("app", "1"));
    expect(await ask({ podman: { auths } }, host, "team/other")).toEqual(basic("team", "1"));
    expect(await ask({ podman: { auths } }, host, "teams/app")).toEqual(basic("host", "1"));
  });

  it("asks the helper of a host before that for all, and both before the file", async () => {
    const helper = (name: string) =>
      `test "$1" = get && read -r server; echo '{"Username":"${name}","Secret":"'$server'"}'`;
    const helpers = { own: helper("own"), all: helper("all") };
    const auths = { [host]: { auth: encoded("file:1") } };
    expect(await ask({ helpers, docker: { auths, credsStore: "all", credHelpers: { [host]: "own" } } })).toEqual(
      basic("own", host),
    );
    expect(await ask({ helpers, docker: { auths, credsStore: "all", credHelpers: { "x.test": "own" } } })).toEqual(
      basic("all", host),
    );
    const hub = await ask({ helpers, docker: { credsStore: "all" } }, "docker.io");
    expect(hub).toEqual(basic("all", "https://index.docker.io/v1/"));
  });

  it("takes a helper's token, and goes on where it has nothing", async () => {
    const helpers = {
      token: `echo '{"Username":"<token>","Secret":"t0ken"}'`,
      none: "echo 'credentials not found in native keychain'; exit 1",
      empty: "exit 0",
    };
    const auths = { [host]: { auth: encoded("file:1") } };
    expect(await ask({ helpers, docker: { credsStore: "token" } })).toEqual({ kind: "identity", token: "t0ken" });
    expect(await ask({ helpers, docker: { auths, credsStore: "none" } })).toEqual(basic("file", "1"));
    expect(await ask({ helpers, docker: { auths, credsStore: "empty" } })).toEqual(basic("file", "1"));
    expect(
      await ask({ helpers, docker: { credsStore: "none" }, podman: { auths: { [host]: { auth: encoded("p:2") } } } }),
    ).toEqual(basic("p", "2"));
  });

  it.each<{ state: string; helpers?: Record<string, string>; credsStore: string; message: RegExp }>([
    { state: "missing", credsStore: "gone", message: /no program docker-credential-gone/ },
    {
      state: "failing",
      helpers: { sad: "echo 'the keyring is locked' >&2; exit 3" },
      credsStore: "sad",
      message: /the keyring is locked/,
    },
    { state: "talking nonsense", helpers: { mad: "echo hello" }, credsStore: "mad", message: /not JSON/ },
    { state: "endless", helpers: { big: "yes" }, credsStore: "big", message: /did not give/ },
    { state: "named like a path", credsStore: "../../bin/sh", message: /no program/ },
  ])("says so of a helper that is $state", async ({ helpers, credsStore, message }) => {
    const failure = ask({ helpers, docker: { credsStore } });
    await expect(failure).rejects.toMatchObject({ code: "SHEAF_REGISTRY_AUTH", message });
  });

  it("says so of a file that is not JSON, and takes none for none", async () => {
    await expect(ask({ docker: "{" })).rejects.toMatchObject({ code: "SHEAF_REGISTRY_AUTH" });
    expect(await ask({})).toBeUndefined();
    expect(await ask({ docker: [] })).toBeUndefined();
  });
});
