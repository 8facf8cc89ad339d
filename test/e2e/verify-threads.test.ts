import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";

import { describe, expect, it } from "vitest";

import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import type { Image } from "../../src/oci/image.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { apiParts, build, elf, file } from "../contract/image-dsl.ts";
import { d, digestOf, imageOf, layerOf } from "../oci/images.ts";
import { filesBelow, sheaf, startSheaf, temporaryFolder } from "./sheaf.ts";

/** In two parts: scanners of repositories look for such keys too. */
const issued = ["AKIA", "Q7Z3MXK2VBN4PLWE"].join("");

/** What threads read is what this process would: layers of a megabyte and more go to them. */
describe("sheaf verify with threads", () => {
  async function verdicts(image: string): Promise<{ code: number; verdict: unknown }[]> {
    const found = [];
    for (const workers of ["0", "1", "4"]) {
      const words = ["verify", image, "--static", "--format", "json", "-q"];
      const { code, stdout, stderr } = await sheaf(words, {
        store: temporaryFolder(),
        env: { SHEAF_WORKERS: workers },
      });
      const told = stdout.replaceAll(/"seconds": [\d.]+/g, `"seconds": 0`);
      found.push({ code, verdict: code === 2 ? stderr : JSON.parse(told) });
    }
    return found;
  }

  function expectSame(found: { code: number; verdict: unknown }[], code: number): void {
    expect(found[0]?.code).toBe(code);
    for (const each of found) expect(each).toEqual(found[0]);
  }

  /** The API with layers that are worth a thread: texts, libraries small and large, secrets. */
  function largeImage(): Image {
    const parts = apiParts();
    const noise = Buffer.alloc(1_500_000);
    for (let at = 0, value = 1; at < noise.length; at++) noise[at] = value = (value * 48_271) % 0x7fffffff;
    // Of such libraries one is read at a time.
    const library = (name: string) => {
      const bytes = Buffer.alloc(26_000_000);
      bytes.set(elf({ soname: name, needed: ["libc.so.6"] }));
      return file(`usr/local/lib/${name}`, bytes);
    };
    parts.layers.push([file("srv/noise", noise), library("liba.so.1"), file("srv/notes", `the key is ${issued}\n`)]);
    parts.layers.push([library("libb.so.1"), file("srv/other", noise.toReversed())]);
    parts.layers.push([library("libc.so.1")]);
    return build(parts);
  }

  it("says the same of a layout and of an archive", async () => {
    const folder = temporaryFolder();
    await writeLayout(path.join(folder, "layout"), largeImage());
    await writeDockerArchive(path.join(folder, "image.tar"), largeImage(), ["app"]);
    const layout = await verdicts(path.join(folder, "layout"));
    expectSame(layout, 1);
    expect(JSON.stringify(layout[0]?.verdict)).toMatch(/srv\/notes/);
    expectSame(await verdicts(path.join(folder, "image.tar")), 1);
  }, 240_000);

  it("says the same of a layer that is damaged, and of one that is gone", async () => {
    const folder = temporaryFolder();
    const image = largeImage();
    await writeLayout(folder, image);
    const blob = path.join(folder, "blobs", "sha256", image.layers.at(-2)?.digest.slice(7) ?? "");
    const bytes = fs.readFileSync(blob);
    bytes.fill(0, 1_000_000, 1_001_000);
    fs.writeFileSync(blob, bytes);
    const damaged = await verdicts(folder);
    expectSame(damaged, 1);
    expect(JSON.stringify(damaged[0]?.verdict)).toMatch(/can't be read/);
    fs.rmSync(blob);
    const gone = await verdicts(folder);
    expectSame(gone, 2);
    expect(gone[0]?.verdict).toMatch(/has no blobs.*incomplete/);
  }, 240_000);

  it("ends at once when it is interrupted, and leaves nothing", async () => {
    const folder = temporaryFolder();
    const store = temporaryFolder();
    const zeros = Buffer.alloc(64 * 1024 * 1024);
    const piece = gzipSync(zeros, { level: 1 });
    // Behind the end of the archive: minutes of nothing.
    const blob = Buffer.concat([gzipSync(Buffer.alloc(1024)), ...Array.from({ length: 900 }, () => piece)]);
    const layer = layerOf([d("tmp")], { blob, digest: digestOf(blob), size: blob.length });
    await writeLayout(folder, imageOf([layer]));
    const started = startSheaf(["verify", folder, "--static"], { store });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const interrupted = performance.now();
    started.child.kill("SIGINT");
    const { code } = await started.ended;
    expect(code).toBe(130);
    expect((performance.now() - interrupted) / 1000).toBeLessThan(5);
    expect(filesBelow(store).filter((each) => each.includes("tmp/"))).toEqual([]);
  }, 120_000);
});
