import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { removeLeftovers } from "../../src/store/leftovers.ts";
import { openScratch } from "../../src/store/scratch.ts";
import { openStore } from "../../src/store/store.ts";
import { temporary } from "../archive/oracle.ts";
import { canMount } from "../lab/can-mount.ts";

it("what this process did not end goes, what others write stays", () => {
  const store = openStore(temporary());
  store.openBlobWriter().write(Buffer.from("half a blob"));
  const others = [`blob-${process.pid}1-0123456789ab`, "blob-1-0123456789ab", `built-${process.pid}-abc`];
  for (const name of others) fs.writeFileSync(path.join(store.root, "tmp", name), "");
  removeLeftovers(store);
  expect(fs.readdirSync(path.join(store.root, "tmp")).toSorted()).toEqual(others.toSorted());
});

it("a scratch file has no name, and gives what was written so far", () => {
  const store = openStore(temporary());
  const scratch = openScratch(store);
  expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  scratch.write(Buffer.from("first "));
  expect(scratch.source().size).toBe(6);
  scratch.write(Buffer.from("second"));
  const source = scratch.source();
  expect(Buffer.from(source.read(3, 6)).toString()).toBe("st sec");
  expect(() => source.read(10, 5)).toThrow("was changed");
  scratch.close();
});

it.skipIf(!canMount())("a disk that is full is an error in words (needs root, to mount a small one)", () => {
  const folder = temporary();
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", folder]);
  onTestFinished(() => void execFileSync("umount", [folder]));
  const scratch = openScratch(openStore(folder));
  const write = () => {
    for (let count = 0; count < 20; count++) scratch.write(Buffer.alloc(100_000));
  };
  expect(write).toThrow(expect.objectContaining({ code: "SHEAF_DISK_FULL" }));
  scratch.close();
});
