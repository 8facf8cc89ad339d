import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { resolveContract } from "../../src/contract/contract.ts";
import { interestOf } from "../../src/contract/interest.ts";
import { type Verification, verifyImage } from "../../src/contract/verify-image.ts";
import { SheafError } from "../../src/errors.ts";
import type { Image } from "../../src/oci/image.ts";
import { imageFromManifest } from "../../src/oci/open-image.ts";
import { mediaTypes } from "../../src/oci/types.ts";
import { text } from "../archive/oracle.ts";
import { d, f, h, imageOf, layerOf, reshaped, s, tarOf, type TarSpec } from "../oci/images.ts";
import { apiParts, build, file, gpuParts, site, verifyParts } from "./image-dsl.ts";

const { signal } = new AbortController();

async function verify(image: Image): Promise<Verification> {
  const runtime = image.config.config ?? {};
  const contract = resolveContract({ name: "x", runtime });
  const facts = await readImageFacts(image, { interest: interestOf(contract, runtime), signal });
  return verifyImage({ name: "x", image, facts, contract, signal, notRunning: "--static" });
}

/** A verdict, or an error that a person can mend: never a bug, never a pass of what can't be read. */
async function attempt(action: () => Promise<Verification>): Promise<Verification | undefined> {
  try {
    const verification = await action();
    expect(verification.bugs).toEqual([]);
    return verification;
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    return undefined;
  }
}

function failed({ verdict }: Verification): string[] {
  return verdict.checks.filter((check) => check.verdict === "fail" || check.verdict === "warn").map(({ id }) => id);
}

const sound = [d("tmp"), f("a", "text")];
const manyFolders = Array.from({ length: 2040 }, () => "a").join("/");

describe("a hostile image", () => {
  it.each<[string, Image, string]>([
    ["a path that leads out", imageOf([layerOf([...sound, f("../../etc/cron.d/evil")])]), "format.paths"],
    ["an absolute path", imageOf([layerOf([...sound, f("/etc/cron.d/evil")])]), "format.paths"],
    [
      "a link that leads out, and a file through it",
      imageOf([layerOf([s("a", "../.."), f("a/evil")])]),
      "format.paths",
    ],
    ["links in a circle", imageOf([layerOf([s("etc", "usr/etc"), s("usr/etc", "../etc")])]), "files.tmp"],
    ["a hard link out", imageOf([layerOf([h("a", "../../etc/shadow")])]), "format.paths"],
    ["200 layers", imageOf(Array.from({ length: 200 }, (_, index) => layerOf([f(`f${index}`)]))), "format.layers"],
    ["a path of 2,040 folders", imageOf([layerOf([...sound, f(manyFolders)])]), "files.tmp"],
    ["a path longer than any system takes", imageOf([layerOf([f("a/".repeat(3000) + "b")])]), "format.readable"],
    ["a layer that is no archive", imageOf([layerOf(Buffer.alloc(4096, "not a tar "))]), "format.readable"],
    [
      "a layer cut short",
      imageOf([layerOf(sound, { blob: gzipSync(tarOf(sound)).subarray(0, 60) })]),
      "format.readable",
    ],
    [
      "garbage behind the gzip header",
      imageOf([layerOf(sound, { blob: Buffer.concat([gzipSync("").subarray(0, 10), Buffer.alloc(99, 7)]) })]),
      "format.readable",
    ],
    [
      "a compression that nobody reads",
      imageOf([layerOf(sound, { blob: Buffer.from("BZh91AY&SY"), mediaType: mediaTypes.layer })]),
      "format.readable",
    ],
    [
      "another compression than its media type's",
      imageOf([layerOf(sound, { blob: tarOf(sound) as Buffer })]),
      "format.readable",
    ],
  ])("with %s fails a check", async (_name, image, id) => {
    const verification = await attempt(() => verify(image));
    expect(failed(verification as Verification)).toContain(id);
  });

  it("that unpacks to 400 MB takes no such memory", async () => {
    const zeros = file("big", Buffer.alloc(400_000_000));
    const layer = layerOf([...sound, zeros]);
    zeros.content = new Uint8Array();
    const before = process.memoryUsage.rss();
    let most = 0;
    const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20);
    const verification = await verify(imageOf([layer]));
    clearInterval(timer);
    expect(verification.facts.layers[0]?.unpacked).toBeGreaterThan(400_000_000);
    expect(most - before).toBeLessThan(200_000_000);
  });

  it.each<[string, object]>([
    ["a history of one long word", { history: [{ created_by: `ENV ${"a".repeat(2_000_000)}`, empty_layer: true }] }],
    [
      "a history of many health checks",
      { history: [{ created_by: "HEALTHCHECK ".repeat(100_000), empty_layer: true }] },
    ],
    ["a command of a megabyte", { config: { Cmd: ["uvicorn", "--bind=".repeat(150_000)] } }],
    ["a variable of a megabyte", { config: { Env: [`TOKEN=a://${"b:".repeat(500_000)}`] } }],
  ])("with %s is judged in seconds", async (_name, config) => {
    const start = performance.now();
    await attempt(() => verify(reshaped(imageOf([layerOf(sound)]), { config })));
    expect(performance.now() - start).toBeLessThan(8000);
  });

  it("with a key whose headers can be read in many ways is judged in seconds", async () => {
    const start = performance.now();
    const key = `-----BEGIN PRIVATE KEY-----\n${"a:    \n".repeat(500)}!`;
    await attempt(() => verify(imageOf([layerOf([...sound, file("srv/a.pem", key), file("srv/b", key)])])));
    expect(performance.now() - start).toBeLessThan(8000);
  });

  it("stops when it is told to", async () => {
    const abort = new AbortController();
    const image = build(apiParts());
    const reading = readImageFacts(image, {
      interest: { startModules: new Set(), files: new Set() },
      signal: abort.signal,
    });
    abort.abort();
    await expect(reading).rejects.toThrow(/abort/i);
  });
});

describe("whatever an image says, there is a verdict or a SheafError", () => {
  const image = build(apiParts());

  it("in its config", async () => {
    await fc.assert(
      fc.asyncProperty(mutated(image.config), async (config) => {
        await attempt(async () => {
          const bytes = text(JSON.stringify(config));
          return verify(
            imageFromManifest(
              image.manifestBytes,
              bytes,
              ({ digest }) => image.layers.find((layer) => layer.digest === digest)?.compressed() as never,
            ),
          );
        });
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  const parts = [apiParts(), gpuParts()].flatMap(({ layers }) => layers.flat());
  const telling = parts.filter(({ type, content }) => type === "file" && content && content.length > 0);

  it("in a file that says something", async () => {
    const spoilt = fc
      .constantFrom(...telling)
      .chain((entry) =>
        bytesLike(entry.content ?? new Uint8Array()).map((content): TarSpec => ({ ...entry, content })),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(spoilt, { minLength: 1, maxLength: 4 }), async (entries) => {
        const good = gpuParts();
        good.layers.push([...new Map(entries.map((entry) => [entry.path, entry])).values()]);
        await attempt(() => verifyParts(good));
      }),
      { numRuns: 250 },
    );
  }, 120_000);

  it("by what lies where something else is expected", async () => {
    const places = [
      ...new Set(telling.map(({ path }) => path)),
      "etc",
      "usr/lib",
      "lib",
      site,
      "tmp",
      "app",
      "usr/local/bin",
    ];
    const odd = fc
      .tuple(fc.constantFrom(...places), fc.constantFrom("directory", "loop", "out", "nothing", "whiteout", "opaque"))
      .map(([path, kind]): TarSpec => {
        if (kind === "directory") return d(path);
        if (kind === "loop") return s(path, `/${path}`);
        if (kind === "out") return s(path, "../../../../../../etc/passwd");
        if (kind === "nothing") return f(path, "");
        const slash = path.lastIndexOf("/") + 1;
        return kind === "opaque"
          ? f(`${path}/.wh..wh..opq`, "")
          : f(`${path.slice(0, slash)}.wh.${path.slice(slash)}`, "");
      });
    await fc.assert(
      fc.asyncProperty(fc.array(odd, { minLength: 1, maxLength: 3 }), async (entries) => {
        const good = apiParts();
        good.layers.push(entries);
        await attempt(() => verifyParts(good));
      }),
      { numRuns: 250 },
    );
  }, 120_000);

  it("in a layer's blob", async () => {
    const blob = gzipSync(tarOf(apiParts().layers[2] ?? []));
    await fc.assert(
      fc.asyncProperty(bytesLike(blob), async (bytes) => {
        const verification = await attempt(() =>
          verify({
            ...image,
            layers: image.layers.map((layer, index) =>
              index === 2
                ? {
                    ...layer,
                    compressed: async function* () {
                      yield bytes;
                    },
                  }
                : layer,
            ),
          }),
        );
        if (verification && !Buffer.from(bytes).equals(blob)) expect(failed(verification)).toContain("format.digests");
      }),
      { numRuns: 150 },
    );
  }, 120_000);
});

/** The bytes with a few changed, cut off, or doubled; or others altogether. */
function bytesLike(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat({ max: Math.max(0, bytes.length - 1) });
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(at, fc.integer({ min: 0, max: 255 }))
      .map(([index, value]) => Uint8Array.from(bytes, (byte, each) => (each === index ? value : byte))),
    at.map((index) => bytes.slice(0, index)),
    fc
      .tuple(at, fc.string({ unit: "binary", maxLength: 40 }))
      .map(([index, more]) => Buffer.concat([bytes.subarray(0, index), Buffer.from(more), bytes.subarray(index)])),
  );
}

/** A JSON document with one value, anywhere in it, replaced by another. */
function mutated(document: unknown): fc.Arbitrary<unknown> {
  const places: (string | number)[][] = [];
  const visit = (value: unknown, place: (string | number)[]): void => {
    places.push(place);
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) visit((value as Record<string, unknown>)[key], [...place, key]);
  };
  visit(document, []);
  const other = fc.constantFrom<unknown>(
    null,
    0,
    -1,
    "x",
    "",
    [],
    {},
    [null],
    [1],
    ["CMD", "x"],
    { a: 1 },
    { 0: "CMD" },
    1e300,
    true,
  );
  return fc.tuple(fc.constantFrom(...places), other).map(([place, value]) => replaced(document, place, value));
}

function replaced(document: unknown, [key, ...rest]: (string | number)[], value: unknown): unknown {
  if (key === undefined) return value;
  const copy = structuredClone(document) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, value);
  return copy;
}
