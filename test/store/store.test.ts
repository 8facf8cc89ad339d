import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { assert, jsonValue, property, string } from "fast-check";
import { rolldown } from "rolldown";
import { describe, expect, it, onTestFinished } from "vitest";

import { pruneStore, storeUsage } from "../../src/store/prune.ts";
import { type Digest, openStore, sha256, type Store } from "../../src/store/store.ts";
import { defaultStoreRoot } from "../../src/store/store-root.ts";

function freshStore(): Store {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-store-"));
  onTestFinished(() => fs.rmSync(root, { recursive: true, force: true }));
  return openStore(root);
}

function recordFiles(store: Store, kind: string): string[] {
  const folder = path.join(store.root, "records", kind);
  return fs.readdirSync(folder).map((name) => path.join(folder, name));
}

describe("blobs", () => {
  it("are found under their digest, and nowhere before they are whole", () => {
    const store = freshStore();
    const writer = store.openBlobWriter();
    writer.write(Buffer.from("ab"));
    const digest = sha256("abc");
    expect(store.hasBlob(digest)).toBe(false);
    writer.write(Buffer.from("c"));
    expect(writer.commit(digest)).toEqual({ digest, size: 3 });
    expect(Buffer.from(store.readBlob(digest) ?? []).toString()).toBe("abc");
    expect(store.blobSize(digest)).toBe(3);
    expect(store.putBlob([Buffer.from("a"), Buffer.from("bc")])).toBe(digest);
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });

  it("that are not what was promised leave nothing", () => {
    const store = freshStore();
    const writer = store.openBlobWriter();
    writer.write(Buffer.from("other"));
    expect(() => writer.commit(sha256("abc"))).toThrow(expect.objectContaining({ code: "SHEAF_DIGEST" }));
    const aborted = store.openBlobWriter();
    aborted.write(Buffer.from("x"));
    aborted.abort();
    expect(storeUsage(store)).toEqual({ blobs: 0, records: 0, bytes: 0 });
  });

  it("that are damaged are removed and read as missing", () => {
    const store = freshStore();
    const digest = store.putBlob(Buffer.from("abc"));
    fs.writeFileSync(store.blobPath(digest), "abd");
    expect(store.readBlob(digest)).toBeUndefined();
    expect(store.hasBlob(digest)).toBe(false);
  });

  it("have no path outside the store, whatever is asked for", () => {
    const store = freshStore();
    for (const name of ["sha256:../../etc/passwd", "sha256:", "md5:abc", `sha256:${"A".repeat(64)}`])
      expect(() => store.blobPath(name as Digest)).toThrow(/not a digest/);
  });
});

describe("records", () => {
  it("give back what was written", () => {
    const store = freshStore();
    assert(
      property(string(), jsonValue(), (key, value) => {
        store.writeRecord("kind", key, value);
        expect(store.readRecord("kind", key)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 50 },
    );
    store.removeRecord("kind", "gone");
    expect(store.readRecord("kind", "gone")).toBeUndefined();
    expect(store.listRecords("other")).toEqual([]);
  });

  it("count as missing with any one byte changed, or cut short anywhere", () => {
    const store = freshStore();
    store.writeRecord("kind", "key", { size: 1, parts: ["a", "b"] });
    const [file = ""] = recordFiles(store, "kind");
    const whole = fs.readFileSync(file);
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      fs.writeFileSync(file, changed);
      expect(store.readRecord("kind", "key"), `byte ${at}`).toBeUndefined();
      fs.writeFileSync(file, whole.subarray(0, at));
      expect(store.readRecord("kind", "key"), `${at} bytes`).toBeUndefined();
    }
    expect(store.listRecords("kind")).toEqual([]);
    fs.writeFileSync(file, whole);
    expect(store.listRecords("kind")).toEqual([{ size: 1, parts: ["a", "b"] }]);
  });
});

describe("temporary folders", () => {
  it("go when the process is done with the store, and others' stay", () => {
    const store = freshStore();
    const other = openStore(store.root);
    const mine = store.makeTemporary("unpack");
    const theirs = other.makeTemporary("unpack");
    fs.writeFileSync(path.join(mine, "file"), "");
    store.dispose();
    expect(fs.existsSync(mine)).toBe(false);
    expect(fs.existsSync(theirs)).toBe(true);
  });
});

describe("a store that several processes share", () => {
  it("holds whole blobs and whole records only", { timeout: 60_000 }, async () => {
    const store = freshStore();
    const bundle = await rolldown({
      input: path.join(import.meta.dirname, "share-store-program.ts"),
      platform: "node",
      logLevel: "silent",
    });
    const program = path.join(freshStore().root, "program.mjs");
    await bundle.write({ file: program, format: "esm" });
    await bundle.close();
    const codes = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise((resolve) => {
            spawn(process.execPath, [program, store.root], { stdio: ["ignore", "inherit", "inherit"] }).once(
              "exit",
              resolve,
            );
          }),
      ),
    );
    expect(codes).toEqual([0, 0, 0]);
    for (let round = 0; round < 60; round += 1)
      expect(store.readBlob(sha256(Buffer.alloc(50_000, round)))?.length).toBe(50_000);
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });
});

describe("pruning", () => {
  it("keeps what is named, and what another process may be writing", () => {
    const store = freshStore();
    const kept = store.putBlob(Buffer.from("kept"));
    const unused = store.putBlob(Buffer.from("unused"));
    const young = store.makeTemporary("young");
    const old = store.makeTemporary("old");
    fs.utimesSync(old, new Date(0), new Date(0));
    store.writeRecord("kind", "key", 1);
    expect(pruneStore(store, new Set([kept]), { records: false })).toEqual({ blobs: 1, bytes: 6 });
    expect([store.hasBlob(kept), store.hasBlob(unused)]).toEqual([true, false]);
    expect([fs.existsSync(young), fs.existsSync(old)]).toEqual([true, false]);
    expect(store.readRecord("kind", "key")).toBe(1);
    pruneStore(store, new Set([kept]), { records: true });
    expect(store.readRecord("kind", "key")).toBeUndefined();
  });
});

describe("where the store is", () => {
  it("is told by the environment, in this order", () => {
    expect(defaultStoreRoot({ SHEAF_CACHE_DIR: "/a/b", XDG_CACHE_HOME: "/x" })).toBe("/a/b");
    expect(defaultStoreRoot({ XDG_CACHE_HOME: "/x" })).toBe("/x/sheaf");
    expect(defaultStoreRoot({})).toBe(path.join(os.homedir(), ".cache", "sheaf"));
  });

  it("must be a folder that can be made", () => {
    const file = path.join(freshStore().root, "file");
    fs.writeFileSync(file, "");
    expect(() => openStore(path.join(file, "store"))).toThrow(expect.objectContaining({ code: "SHEAF_STORE" }));
  });
});
