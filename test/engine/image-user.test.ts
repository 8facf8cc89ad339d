import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { effectiveMode } from "../../src/engine/effective-mode.ts";
import { findImageUser } from "../../src/engine/image-accounts.ts";
import { imageCommand, imageEnvironment } from "../../src/engine/image-command.ts";
import { resolveInImage } from "../../src/engine/image-path.ts";
import { resolveImageUser } from "../../src/engine/image-user.ts";
import { openStore } from "../../src/store/store.ts";
import { imageOf, layerOf } from "./images.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-image-user-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const files: Record<string, string> = {
  "etc/passwd": "root:x:0:0::/root:/bin/sh\napp:x:10001:10002:App:/home/app:/bin/sh\n42:x:7:7::/seven:\nbroken:x\n",
  "etc/group": "root:x:0:\napp:x:10002:\nvideo:x:44:app\n",
};
const read = (file: string) => files[file];

describe("resolveImageUser", () => {
  it.each([
    [undefined, { uid: 0, gid: 0, home: "/root" }],
    ["", { uid: 0, gid: 0, home: "/root" }],
    ["app", { uid: 10001, gid: 10002, home: "/home/app" }],
    ["10001", { uid: 10001, gid: 10002, home: "/home/app" }],
    ["app:video", { uid: 10001, gid: 44, home: "/home/app" }],
    ["app:5", { uid: 10001, gid: 5, home: "/home/app" }],
    ["12345", { uid: 12345, gid: 0, home: "/" }],
    ["12345:6", { uid: 12345, gid: 6, home: "/" }],
    // A name wins over a number, as in Docker.
    ["42", { uid: 7, gid: 7, home: "/seven" }],
  ])("%s", (user, expected) => expect(resolveImageUser(user, read)).toEqual(expected));

  it.each(["nobody", "app:none", "4294967295", "-1", "1e3"])("refuses %s", (user) => {
    expect(() => resolveImageUser(user, read)).toThrow(expect.objectContaining({ code: "SHEAF_IMAGE_USER" }));
  });

  it("needs no passwd for numbers", () => {
    expect(resolveImageUser("10001:10001", () => undefined)).toEqual({ uid: 10001, gid: 10001, home: "/" });
  });
});

describe("findImageUser", () => {
  it("reads the uppermost passwd, and only once", async () => {
    const low = layerOf([
      { path: "etc/passwd", data: "app:x:1:1::/low:\n" },
      { path: "etc/group", data: "web:x:9:\n" },
    ]);
    const high = layerOf([{ path: "./etc/passwd", data: "app:x:2:2::/high:\n" }]);
    let reads = 0;
    const image = imageOf(
      [low, high].map((layer) => ({ ...layer, uncompressed: () => ((reads += 1), layer.uncompressed()) })),
    );
    const store = openStore(folder);
    expect(await findImageUser(store, image, "app:web")).toEqual({ uid: 2, gid: 9, home: "/high" });
    expect(await findImageUser(store, image, "app")).toMatchObject({ uid: 2, gid: 2 });
    expect(reads).toBe(2);
  });
});

describe("effectiveMode", () => {
  const app = { uid: 10001, gid: 10001 };
  it.each([
    ["another's file by the bits for others", { uid: 0, gid: 0, mode: 0o754 }, 0o454],
    ["its own by the owner's", { uid: 10001, gid: 0, mode: 0o604 }, 0o604],
    ["its group's by the group's", { uid: 0, gid: 10001, mode: 0o460 }, 0o660],
    ["set-user-ID never", { uid: 0, gid: 0, mode: 0o4755 }, 0o555],
  ])("%s", (_, entry, mode) => expect(effectiveMode(entry, app)).toBe(mode));

  it("leaves root's view as it is", () => {
    expect(effectiveMode({ uid: 10001, gid: 1, mode: 0o1640 }, { uid: 0, gid: 0 })).toBe(0o640);
  });
});

describe("imageCommand and imageEnvironment", () => {
  const config = imageOf([], { Entrypoint: ["tini", "--"], Cmd: ["app"], Env: ["A=1=2", "B", "PATH=/x"] }).config;
  const user = { uid: 1, gid: 1, home: "/home/app" };

  it("keeps the entrypoint when the command is another", () => {
    expect(imageCommand(config)).toEqual(["tini", "--", "app"]);
    expect(imageCommand(config, ["sh"])).toEqual(["tini", "--", "sh"]);
    expect(() => imageCommand(imageOf([]).config)).toThrow(expect.objectContaining({ code: "SHEAF_NO_COMMAND" }));
  });

  it("puts ours over the image's over the defaults", () => {
    expect(imageEnvironment(config, user, { A: "3" })).toEqual({ PATH: "/x", HOME: "/home/app", A: "3", B: "" });
    expect(imageEnvironment(imageOf([]).config, user)["PATH"]).toContain("/usr/local/bin:");
  });
});

describe("resolveInImage", () => {
  it("follows links as inside the image, never out of it", () => {
    const root = path.join(folder, "root");
    fs.mkdirSync(path.join(root, "a/b"), { recursive: true });
    fs.symlinkSync("/a/b", path.join(root, "absolute"));
    fs.symlinkSync("../../../a", path.join(root, "up"));
    fs.symlinkSync("loop", path.join(root, "loop"));
    expect(resolveInImage(root, "/absolute/new/x")).toBe("/a/b/new/x");
    expect(resolveInImage(root, "up/b/../c")).toBe("/a/c");
    expect(resolveInImage(root, "../../etc")).toBe("/etc");
    expect(resolveInImage(root, "/")).toBe("/");
    expect(() => resolveInImage(root, "loop/x")).toThrow(expect.objectContaining({ code: "SHEAF_IMAGE_PATH" }));
  });
});
