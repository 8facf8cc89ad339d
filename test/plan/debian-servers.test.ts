import { spawnSync } from "node:child_process";

import { describe, expect, it } from "vitest";

import { makeAccounts } from "../../src/debian/accounts.ts";
import { applyAttributes } from "../../src/debian/attributes.ts";
import type { Entry } from "../../src/filesystem/entry.ts";
import { chooseImages } from "../../src/plan/choose-images.ts";
import { debianServer } from "../../src/plan/debian-servers.ts";
import { sketchDebianImage } from "../../src/plan/plan-debian.ts";
import { readProject } from "../../src/project/read-project.ts";
import { writeRepository } from "../project/write-repository.ts";

const api = "from fastapi import FastAPI\napp = FastAPI()\n";

async function sketches(config: string) {
  const project = await readProject(
    writeRepository({
      "pyproject.toml": `[project]\nname = "shop"\ndependencies = ["fastapi", "uvicorn"]\n${config}`,
      "main.py": api,
    }),
  );
  const intents = chooseImages(project);
  return {
    names: intents.map(({ name, kind }) => `${name} ${kind}`),
    debian: intents.filter(({ kind }) => kind === "debian").map((intent) => sketchDebianImage(project, intent)),
  };
}

describe("images of Debian packages", () => {
  it("stand beside images that are detected, and beside those that are configured", async () => {
    const redis = '[tool.sheaf.images.redis]\nkind = "debian"\npackages = ["redis-server"]\n';
    expect((await sketches(redis)).names).toEqual(["api python", "redis debian"]);
    expect((await sketches(`[tool.sheaf.images.web]\napp = "main:app"\n${redis}`)).names).toEqual([
      "web python",
      "redis debian",
    ]);
  });

  it("know how Redis runs in a container", async () => {
    const { debian } = await sketches('[tool.sheaf.images.redis]\nkind = "debian"\npackages = ["redis-server"]\n');
    expect(debian[0]).toMatchObject({
      user: { value: { name: "redis", uid: 10001, gid: 10001 } },
      writable: ["var/lib/redis"],
      config: {
        command: { value: expect.arrayContaining(["redis-server", "--dir", "/var/lib/redis"]) },
        entrypoint: { value: ["/usr/bin/tini", "--"] },
        ports: [{ value: 6379 }],
        health: { value: { test: ["redis-cli", "-e", "ping"] } },
        stopSignal: { value: "SIGTERM" },
      },
    });
  });

  it("let the configuration outrank all of that", async () => {
    const { debian } = await sketches(
      [
        '[tool.sheaf.images.redis]\nkind = "debian"\npackages = ["redis-server"]\nuser = "queue"\nport = 6380',
        'command = ["redis-server", "--port", "6380"]\nhealth = ["redis-cli", "-p", "6380", "ping"]\nstop-signal = "SIGINT"',
        'env = { LANG = "C" }\nwritable = ["/queue"]\nworkdir = "/queue"\n',
      ].join("\n"),
    );
    expect(debian[0]).toMatchObject({
      user: { value: { name: "queue" } },
      writable: ["var/lib/redis", "queue"],
      config: {
        command: { value: ["redis-server", "--port", "6380"] },
        ports: [{ value: 6380 }],
        health: { value: { test: ["redis-cli", "-p", "6380", "ping"] } },
        env: { LANG: { value: "C" } },
        workdir: { value: "/queue" },
        stopSignal: { value: "SIGINT" },
      },
    });
  });

  it("ask for a command where the server is not known", async () => {
    await expect(sketches('[tool.sheaf.images.x]\nkind = "debian"\npackages = ["haproxy"]\n')).rejects.toMatchObject({
      code: "SHEAF_UNKNOWN_SERVER",
      hints: [expect.stringContaining("[tool.sheaf.images.x] command")],
    });
  });

  it("are told apart from the project's images in every key", async () => {
    const config = [
      '[tool.sheaf.images.redis]\nkind = "debian"\nextras = ["ml"]',
      '[tool.sheaf.images.api]\nuser = "web"\n',
    ].join("\n");
    const problem = await sketches(config).catch((error: unknown) => error);
    expect(problem).toMatchObject({
      code: "SHEAF_CONFIG",
      details: [
        ["images.redis.packages", expect.stringContaining('["redis-server"]')],
        ["images.redis.extras", expect.stringContaining("there is no Python in it")],
        ["images.api.user", expect.stringContaining('kind = "debian"')],
      ],
    });
  });
});

it("names of packages lead to servers, with a version too", () => {
  expect(debianServer(["procps", "postgresql-15=15.1"])?.service).toBe("postgres");
  expect(debianServer(["postgresql-client-15"])).toBeUndefined();
  expect(debianServer(["valkey-server"])?.command[0]).toBe("valkey-server");
});

it("what starts PostgreSQL is a script that a shell can read", () => {
  const script = debianServer(["postgresql-16"])?.files?.["/usr/local/bin/start-postgres"] ?? "";
  expect(spawnSync("sh", ["-n"], { input: script, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
});

describe("the user of a package", () => {
  const made = [
    { kind: "group", name: "ssl" },
    { kind: "user", name: "redis", group: "redis", home: "/var/lib/redis" },
  ] as const;

  it("is the image's own where they have one name, with the image's numbers", () => {
    const accounts = makeAccounts(
      [...made],
      { name: "redis", uid: 10001, gid: 10002 },
      { root: "/bin/sh", user: "/x" },
    );
    expect(accounts.uids.get("redis")).toBe(10001);
    expect(accounts.gids.get("redis")).toBe(10002);
    expect(accounts.passwd.match(/^redis:.*$/gm)).toEqual(["redis:x:10001:10002::/home/redis:/x"]);
    expect(accounts.group.match(/^.*:10002:.*$/gm)).toEqual(["redis:x:10002:"]);
  });

  it("is another where they don't", () => {
    const accounts = makeAccounts([...made], { name: "app", uid: 10001, gid: 10001 }, { root: "/bin/sh", user: "/x" });
    expect(accounts.uids.get("redis")).toBeLessThan(1000);
    expect(accounts.uids.get("app")).toBe(10001);
  });
});

it("a file for a service's user can be read by all, and sets nobody's id", () => {
  const entry: Entry = {
    type: "file",
    path: "etc/redis/redis.conf",
    mode: 0o644,
    uid: 0,
    gid: 0,
    content: { kind: "bytes", bytes: Buffer.from("") },
  };
  const set = (mode: number, owner: string) =>
    applyAttributes([entry], [{ kind: "attributes", path: entry.path, mode, owner, group: owner }])[0];
  expect(set(0o640, "redis")).toMatchObject({ mode: 0o644, uid: 0, gid: 0 });
  expect(set(0o4750, "redis")).toMatchObject({ mode: 0o755, uid: 0, gid: 0 });
  expect(set(0o600, "root")).toMatchObject({ mode: 0o600, uid: 0, gid: 0 });
});
