import * as fs from "node:fs";
import * as path from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { openLayout } from "../../src/oci/layout.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { buildWheel } from "../wheel/build-wheel.ts";
import { buildJson, builtExample, type BuiltJson } from "./example.ts";
import { framework, type LocalIndex, projectOn, serveWheels, sha256Of } from "./local-index.ts";
import { copyStore, filesBelow, sheaf, temporaryFolder, writeFiles } from "./sheaf.ts";

beforeAll(() => builtExample(), 300_000);

interface Bench extends LocalIndex {
  folder: string;
  store: string;
  first: BuiltJson;
  wheel: string;
  build(...words: string[]): Promise<BuiltJson>;
}

/** A small project, built once in a store of its own. */
async function bench(): Promise<Bench> {
  const demo = buildWheel({ name: "demo", files: { "demo.py": "x = 1\n" } });
  const wheels = [...framework(), demo];
  const index = await serveWheels(wheels);
  const folder = writeFiles(path.join(temporaryFolder(), "project"), {
    ...projectOn(wheels),
    "main.py": "import demo\nfrom fastapi import FastAPI\n\napp = FastAPI()\n",
  });
  const store = copyStore();
  const build = (...words: string[]) => buildJson([folder, ...words], { env: index.env, store });
  return { ...index, folder, store, build, first: await build(), wheel: sha256Of(demo.bytes) };
}

/** Flips a bit in the middle of a file; other stores that share its bytes keep theirs. */
function damage(file: string): void {
  const bytes = fs.readFileSync(file);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  fs.rmSync(file);
  fs.writeFileSync(file, bytes);
}

describe("damage in the store is noticed and mended, with the same digest", { timeout: 120_000 }, () => {
  it("a download that is needed again is fetched again", async () => {
    const { store, wheel, requests, build, first } = await bench();
    damage(path.join(store, "blobs", "sha256", wheel));
    for (const kind of ["environment", "wheel"]) fs.rmSync(path.join(store, "records", kind), { recursive: true });
    requests.length = 0;
    expect((await build()).digest).toBe(first.digest);
    expect(requests).toEqual(["demo-1.0-py3-none-any.whl"]);
  });

  it("a download whose bytecode alone is asked for again", async () => {
    const { store, wheel, requests, build, first } = await bench();
    damage(path.join(store, "blobs", "sha256", wheel));
    for (const kind of ["environment", "bytecode", "bytecode-pack", "imports", "layer-group"])
      fs.rmSync(path.join(store, "records", kind), { recursive: true });
    requests.length = 0;
    expect((await build()).digest).toBe(first.digest);
    expect(requests).toEqual(["demo-1.0-py3-none-any.whl"]);
  });

  it("layers, found when they are written out", async () => {
    const { store, build, first } = await bench();
    const layout = path.join(temporaryFolder(), "layout");
    const { layers } = first;
    const parts = filesBelow(path.join(store, "blobs")).filter(
      (file) => fs.statSync(path.join(store, "blobs", file)).size > 400,
    );
    expect(layers.length).toBeGreaterThan(4);
    // Each that is found makes a build go round again: a sample of all kinds is enough.
    const sample = parts.filter((_, index) => index % 7 === 0);
    for (const part of sample) damage(path.join(store, "blobs", part));
    const again = await build("-o", `type=oci,dest=${layout}`);
    expect(again.digest).toBe(first.digest);
    expect(await validateImage(openLayout(layout))).toEqual([]);
  });

  it("every record", async () => {
    const { store, build, first } = await bench();
    for (const file of filesBelow(path.join(store, "records"))) damage(path.join(store, "records", file));
    expect((await build()).digest).toBe(first.digest);
  });

  it("records that were cut short", async () => {
    const { store, build, first } = await bench();
    for (const file of filesBelow(path.join(store, "records"))) {
      const target = path.join(store, "records", file);
      const bytes = fs.readFileSync(target);
      fs.rmSync(target);
      fs.writeFileSync(target, bytes.subarray(0, Math.floor(bytes.length / 2)));
    }
    expect((await build()).digest).toBe(first.digest);
  });

  it("an image that is run or inspected says what to do, and building mends it", async () => {
    const { store, first, folder, env, build } = await bench();
    fs.rmSync(path.join(store, "blobs", "sha256", first.digest.slice(7)));
    const [reference = ""] = (first as BuiltJson & { references: string[] }).references;
    const outcome = await sheaf(["inspect", reference], { env, store, cwd: folder });
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(/gone from the store[\s\S]*sheaf build makes it again/);
    await build();
    expect((await sheaf(["inspect", reference], { env, store, cwd: folder })).code).toBe(0);
  });
});
