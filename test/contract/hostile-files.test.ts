import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { crc32, gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { blockSize, tarChecksum, tarFields } from "../../src/archive/tar-format.ts";
import { tarEnd, tarHeader, tarPadding } from "../../src/archive/tar-write.ts";
import { resolveContract } from "../../src/contract/contract.ts";
import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { readLayerTask } from "../../src/contract/facts/layer-task.ts";
import { interestOf } from "../../src/contract/interest.ts";
import { type Verification, verifyImage } from "../../src/contract/verify-image.ts";
import { SheafError } from "../../src/errors.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { openImageFile } from "../../src/oci/open-file.ts";
import { mediaTypes } from "../../src/oci/types.ts";
import { openStore } from "../../src/store/store.ts";
import { temporary, text } from "../archive/oracle.ts";
import { d, digestOf, f, tarOf } from "../oci/images.ts";
import { apiParts, build } from "./image-dsl.ts";

const { signal } = new AbortController();
const sound = [d("tmp"), f("a", "text")];

/** As the command does, on this thread. */
async function verify(file: string): Promise<Verification> {
  const store = openStore(path.join(path.dirname(file), "store"));
  try {
    const image = await openImageFile(file, store);
    const runtime = image.config.config ?? {};
    const contract = resolveContract({ name: "x", runtime });
    const facts = await readImageFacts(image, {
      interest: interestOf(contract, runtime),
      signal,
      tasks: { layerFacts: readLayerTask },
    });
    return await verifyImage({ name: "x", image, facts, contract, signal, notRunning: "--static" });
  } finally {
    store.dispose();
  }
}

/** The ids of failed checks, or the code of an error that a person can mend. Anything else is thrown. */
async function outcome(file: string): Promise<string[]> {
  try {
    const { verdict, bugs } = await verify(file);
    expect(bugs).toEqual([]);
    return verdict.checks.filter((check) => check.verdict === "fail").map(({ id }) => id);
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    expect(error.code).toMatch(/^SHEAF_[A-Z_]+$/);
    expect(error.message).not.toBe("");
    return [error.code];
  }
}

interface Written {
  /** What the manifest says of the layers; by the blobs unless given. */
  layers?: { mediaType?: string; digest: string; size: number }[];
  config?: object | string;
  index?: object | string;
}

/** An OCI layout of blobs as they are, whatever they are. */
function layoutOf(blobs: Uint8Array[], { layers, config, index }: Written = {}): string {
  const folder = path.join(temporary(), "layout");
  fs.mkdirSync(path.join(folder, "blobs", "sha256"), { recursive: true });
  const put = (bytes: Uint8Array) => {
    const digest = digestOf(bytes);
    fs.writeFileSync(path.join(folder, "blobs", "sha256", digest.slice(7)), bytes);
    return { digest, size: bytes.length };
  };
  const described = layers ?? blobs.map(put);
  const configuration = config ?? {
    os: "linux",
    architecture: "amd64",
    config: { Cmd: ["/bin/true"] },
    rootfs: { type: "layers", diff_ids: described.map(({ digest }) => digest) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, ...put(jsonOf(configuration)) },
    layers: described.map((layer) => ({ mediaType: mediaTypes.layerGzip, ...layer })),
  };
  const top = index ?? {
    schemaVersion: 2,
    manifests: [{ mediaType: mediaTypes.manifest, ...put(jsonOf(manifest)) }],
  };
  fs.writeFileSync(path.join(folder, "index.json"), jsonOf(top));
  fs.writeFileSync(path.join(folder, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`);
  return folder;
}

function jsonOf(value: object | string): Uint8Array {
  return text(typeof value === "string" ? value : JSON.stringify(value));
}

function gzipped(...parts: Uint8Array[]): Uint8Array {
  return gzipSync(Buffer.concat(parts), { level: 1 });
}

/** A header as no writer makes it. */
function header(path: string, typeflag: string, size: number): Uint8Array {
  const block = Uint8Array.from(tarHeader({ ...f(path), size: Math.min(size, 8 ** 11 - 1) }));
  block[tarFields.typeflag[0]] = typeflag.charCodeAt(0);
  const sum = `${tarChecksum(block).toString(8).padStart(6, "0")}\0 `;
  block.set(text(sum), tarFields.checksum[0]);
  return block;
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let size = rest.length;
  while (`${size}${rest}`.length !== size) size = `${size}${rest}`.length;
  return `${size}${rest}`;
}

function pax(typeflag: "x" | "g", ...records: string[]): Uint8Array {
  const body = text(records.join(""));
  return Buffer.concat([header("pax", typeflag, body.length), body, tarPadding(body.length)]);
}

/** A run of zstd (RFC 8878): the frame's header, and blocks that stand for 128 KiB of zeros with four bytes each. */
function zstdOfZeros(blocks: number, windowDescriptor = 0x70): Uint8Array {
  const head = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, windowDescriptor);
  const block = (isLast: boolean) => {
    const bits = (isLast ? 1 : 0) | (1 << 1) | ((128 * 1024) << 3);
    return Uint8Array.of(bits & 0xff, (bits >> 8) & 0xff, bits >> 16, 0);
  };
  return Buffer.concat([head, ...Array.from({ length: blocks - 1 }, () => block(false)), block(true)]);
}

/** The head of an xz file (its specification, 2 and 3) whose one block asks for a dictionary of 4 GiB. */
function xzWithDictionary(): Uint8Array {
  const flags = Uint8Array.of(0, 1);
  const block = Uint8Array.of(2, 0, 0x21, 1, 40, 0, 0, 0);
  const sum = (bytes: Uint8Array) => new Uint8Array(Uint32Array.of(crc32(bytes)).buffer);
  const magic = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0);
  return Buffer.concat([magic, flags, sum(flags), block, sum(block), Buffer.alloc(4096, 1)]);
}

/** Seconds, and the bytes of memory that came on top, at their highest. */
async function taken(action: () => Promise<unknown>): Promise<{ seconds: number; memory: number }> {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
  const start = performance.now();
  try {
    await action();
  } finally {
    clearInterval(timer);
  }
  return {
    seconds: (performance.now() - start) / 1000,
    memory: Math.max(most, process.memoryUsage.rss()) - before,
  };
}

const emptyFile = tarHeader({ ...f("a"), size: 0 });

describe("an image on disk", () => {
  const nowhere = { digest: digestOf(text("not there")), size: 9 };
  const many = Array.from({ length: 100_000 }, () => nowhere);
  const deep = `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`;
  const cases: [string, () => string, string][] = [
    ["whose layer is missing", () => layoutOf([], { layers: [nowhere] }), "SHEAF_IMAGE"],
    ["with 100,000 layers", () => layoutOf([], { layers: many }), "SHEAF_IMAGE"],
    [
      "with a digest that leads out",
      () => layoutOf([], { layers: [{ digest: "sha256:../../../../etc/passwd", size: 1 }] }),
      "SHEAF_IMAGE",
    ],
    ["with an index that is no JSON", () => layoutOf([], { index: "{" }), "SHEAF_IMAGE"],
    ["with an index of 40 MB", () => layoutOf([], { index: " ".repeat(40_000_000) }), "SHEAF_IMAGE"],
    ["with a config of 40 MB", () => layoutOf([], { config: `"${"a".repeat(40_000_000)}"` }), "SHEAF_IMAGE"],
    ["with an index nested 200,000 times", () => layoutOf([], { index: deep }), "SHEAF_IMAGE"],
    [
      "with a size of a gigabyte in a header and nothing behind it",
      () => layoutOf([gzipped(header("a", "0", 2 ** 30))]),
      "format.readable",
    ],
    [
      "with a size beyond all numbers",
      () => layoutOf([gzipped(pax("x", record("size", "9".repeat(30))), emptyFile, tarEnd)]),
      "format.readable",
    ],
    [
      "with a file of 900 TB",
      () => layoutOf([gzipped(pax("x", record("size", "900000000000000")), emptyFile, tarEnd)]),
      "format.readable",
    ],
    ["with a sparse file", () => layoutOf([gzipped(header("a", "S", 0), tarEnd)]), "format.readable"],
    [
      "with a sparse file of PAX",
      () => layoutOf([gzipped(pax("x", record("GNU.sparse.major", "1")), emptyFile, tarEnd)]),
      "format.readable",
    ],
    [
      "with a name of a megabyte",
      () => layoutOf([gzipped(pax("x", record("path", "a/".repeat(500_000))), emptyFile, tarEnd)]),
      "format.readable",
    ],
    [
      "with a header of a gigabyte",
      () => layoutOf([gzipped(header("a", "x", 2 ** 30), Buffer.alloc(1_000_000, 65))]),
      "format.readable",
    ],
    [
      "with 50,000 attributes of one file",
      () =>
        layoutOf([
          gzipped(
            pax("x", ...Array.from({ length: 50_000 }, (_, at) => record(`SCHILY.xattr.user.${at}`, "1"))),
            emptyFile,
            tarEnd,
          ),
        ]),
      "format.readable",
    ],
    ["with the header of an unknown type", () => layoutOf([gzipped(header("a", "Z", 0), tarEnd)]), "format.readable"],
    ["whose layer ends in the middle", () => layoutOf([gzipped(tarOf(sound)).subarray(0, -40)]), "format.readable"],
    [
      "whose layer has something behind its end",
      () => layoutOf([Buffer.concat([gzipped(tarOf(sound)), text("garbage")])]),
      "format.readable",
    ],
    [
      "whose layer is compressed in another way than it says",
      () => layoutOf([text("BZh91AY&SY and so on")]),
      "format.readable",
    ],
    [
      "whose layer wants a dictionary of 4 GiB",
      () => withBlob(xzWithDictionary(), mediaTypes.layer),
      "format.readable",
    ],
    [
      "whose layer wants a window of gigabytes",
      () => withBlob(zstdOfZeros(4, 0xa8), mediaTypes.layerZstd),
      "format.readable",
    ],
  ];

  it.each(cases)(
    "%s fails a check or is refused, in seconds and without much memory",
    async (_name, make, expected) => {
      const file = make();
      let found: string[] = [];
      const { seconds, memory } = await taken(async () => (found = await outcome(file)));
      expect(found).toContain(expected);
      expect(seconds).toBeLessThan(20);
      expect(memory).toBeLessThan(350_000_000);
    },
  );

  it.each<[string, (blob: string) => void]>([
    ["a pipe", (blob) => execFileSync("mkfifo", [blob])],
    ["a device without an end", (blob) => fs.symlinkSync("/dev/zero", blob)],
    ["a folder", (blob) => fs.mkdirSync(blob)],
  ])("with %s for a layer is refused at once", async (_name, put) => {
    const folder = layoutOf([], { layers: [nowhere] });
    put(path.join(folder, "blobs", "sha256", nowhere.digest.slice(7)));
    expect(await outcome(folder)).toEqual(["SHEAF_IMAGE"]);
  });

  it.each(["index.json", "oci-layout"])("with a pipe for its %s is refused at once", async (name) => {
    const folder = layoutOf([gzipped(tarOf(sound))]);
    fs.rmSync(path.join(folder, name));
    execFileSync("mkfifo", [path.join(folder, name)]);
    const found = await outcome(folder);
    expect(name === "oci-layout" || found[0] === "SHEAF_IMAGE").toBe(true);
  });

  it("reads a blob once that is a hundred layers", async () => {
    const blob = gzipped(tarOf([d("tmp"), { ...f("big"), content: Buffer.alloc(20_000_000) }]));
    const layer = { digest: digestOf(blob), size: blob.length };
    const folder = layoutOf([], { layers: Array.from({ length: 100 }, () => layer) });
    fs.writeFileSync(path.join(folder, "blobs", "sha256", layer.digest.slice(7)), blob);
    const verification = await verify(folder);
    expect(verification.facts.layers).toHaveLength(100);
    expect(verification.verdict.seconds).toBeLessThan(5);
  });

  it("with a file for every block of half a gigabyte takes the memory of those that are let in", async () => {
    const block = Buffer.alloc(8192 * blockSize);
    for (let at = 0; at < block.length; at += blockSize) block.set(emptyFile, at);
    const packed = gzipSync(block, { level: 1 });
    const folder = layoutOf([Buffer.concat(Array.from({ length: 128 }, () => packed))]);
    let found: string[] = [];
    const { seconds, memory } = await taken(async () => (found = await outcome(folder)));
    expect(found).toContain("format.readable");
    expect(seconds).toBeLessThan(60);
    expect(memory).toBeLessThan(1_200_000_000);
  }, 120_000);

  it("with a global header of 40,000 keys before 40,000 files is read in seconds", async () => {
    const keys = Array.from({ length: 40_000 }, (_, at) => record(`LIBARCHIVE.${at}`, "x"));
    const files = Array.from({ length: 40_000 }, () => emptyFile);
    const folder = layoutOf([gzipped(pax("g", ...keys), ...files, tarEnd)]);
    const { seconds } = await taken(() => outcome(folder));
    expect(seconds).toBeLessThan(20);
  }, 60_000);

  it("that unpacks to 655 MB of nothing takes no such memory", async () => {
    const folder = layoutOf([gzipped(tarOf(sound), Buffer.alloc(655_360_000))]);
    let unpacked: number | undefined;
    const { memory } = await taken(async () => (unpacked = (await verify(folder)).facts.layers[0]?.unpacked));
    expect(unpacked).toBeGreaterThan(655_000_000);
    expect(memory).toBeLessThan(350_000_000);
  }, 60_000);

  it("of which 160 kB of zstd are gigabytes is not read to its end", async () => {
    // Two megabytes to look back: a decoder moves them for each block.
    const folder = withBlob(zstdOfZeros(40_000, 0x58), mediaTypes.layerZstd);
    let found: Verification | undefined;
    const { memory } = await taken(async () => (found = await verify(folder)));
    expect(found?.facts.layers[0]?.unpacked).toBeLessThan(1_300_000_000);
    expect(found?.facts.problems.map(({ message }) => message).join("\n")).toMatch(/more than 1100 times its size/);
    expect(memory).toBeLessThan(350_000_000);
  }, 120_000);
});

/** A layout of one layer with this media type. */
function withBlob(bytes: Uint8Array, mediaType: string): string {
  return rewritten(layoutOf([bytes]), (manifest) => ({
    ...manifest,
    layers: manifest.layers.map((layer) => ({ ...layer, mediaType })),
  }));
}

interface ManifestLike {
  config: { digest: string; size: number };
  layers: { mediaType: string; digest: string; size: number }[];
}

/** The layout with another manifest, under its new digest. */
function rewritten(folder: string, edit: (manifest: ManifestLike) => object): string {
  const at = (digest: string) => path.join(folder, "blobs", "sha256", digest.slice(7));
  const file = path.join(folder, "index.json");
  const index = JSON.parse(fs.readFileSync(file, "utf8")) as { manifests: { digest: string; size: number }[] };
  const [descriptor] = index.manifests;
  if (!descriptor) throw new Error("the layout has no manifest");
  const bytes = jsonOf(edit(JSON.parse(fs.readFileSync(at(descriptor.digest), "utf8")) as ManifestLike));
  Object.assign(descriptor, { digest: digestOf(bytes), size: bytes.length });
  fs.writeFileSync(at(descriptor.digest), bytes);
  fs.writeFileSync(file, JSON.stringify(index));
  return folder;
}

describe("an archive", () => {
  it.each<[string, object[], string]>([
    ["that names 100,000 layers", [{ Config: "c.json", Layers: Array(100_000).fill("l.tar") }], "SHEAF_IMAGE"],
    ["whose config lies outside", [{ Config: "../../../../etc/passwd", Layers: [] }], "SHEAF_IMAGE"],
    ["whose layer lies outside", [{ Config: "c.json", Layers: ["/etc/passwd"] }], "SHEAF_IMAGE"],
    ["whose layer is its own manifest", [{ Config: "c.json", Layers: ["manifest.json"] }], "format.readable"],
  ])("%s is refused or fails a check", async (_name, manifest, expected) => {
    const file = path.join(temporary(), "image.tar");
    const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } };
    const members = [
      f("c.json", JSON.stringify(config)),
      f("l.tar", "x"),
      f("manifest.json", JSON.stringify(manifest)),
    ];
    fs.writeFileSync(file, tarOf(members));
    expect(await outcome(file)).toContain(expected);
  });

  it("tells two layers apart for which the config has one digest", async () => {
    const [a, b] = [tarOf([f("a")]), tarOf([f("b")])];
    const config = {
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: [digestOf(b), digestOf(b)] },
    };
    const file = path.join(temporary(), "image.tar");
    const members = [
      f("c.json", JSON.stringify(config)),
      { ...f("a.tar"), content: a },
      { ...f("b.tar"), content: b },
      f("manifest.json", JSON.stringify([{ Config: "c.json", Layers: ["a.tar", "b.tar"] }])),
    ];
    fs.writeFileSync(file, tarOf(members));
    const { facts } = await verify(file);
    expect([...facts.files.keys()].toSorted()).toEqual(["a", "b"]);
    expect(await outcome(file)).toContain("format.digests");
  });
});

describe("with bytes changed anywhere there is a verdict or a SheafError, and nothing is written", () => {
  const image = build(apiParts());

  interface Change {
    /** Of the file, from 0 to 1. */
    at: number;
    kind: "set" | "cut" | "insert" | "zero" | "repeat";
    bytes: Uint8Array;
  }

  const changes = fc.array(
    fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      kind: fc.constantFrom("set", "cut", "insert", "zero", "repeat"),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 24 }),
    }) as fc.Arbitrary<Change>,
    { minLength: 1, maxLength: 4 },
  );

  function changed(original: Uint8Array, all: readonly Change[]): Uint8Array {
    let bytes: Uint8Array = Uint8Array.from(original);
    for (const { at, kind, bytes: other } of all) {
      const place = Math.floor(at * bytes.length);
      const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
      if (kind === "cut") bytes = Uint8Array.from(before);
      else if (kind === "insert") bytes = Buffer.concat([before, other, after]);
      else if (kind === "repeat") bytes = Buffer.concat([before, after.subarray(0, 700), after]);
      else bytes.set((kind === "zero" ? new Uint8Array(600) : other).subarray(0, bytes.length - place), place);
    }
    return bytes;
  }

  function everyFile(folder: string): string[] {
    return fs
      .readdirSync(folder, { withFileTypes: true, recursive: true })
      .map((entry) => `${path.join(entry.parentPath ?? entry.path, entry.name)} ${entry.isFile()}`)
      .toSorted();
  }

  it("in a file of a layout", async () => {
    const folder = path.join(temporary(), "layout");
    await writeLayout(folder, image);
    const files = everyFile(folder).flatMap((line) => (line.endsWith(" true") ? [line.slice(0, -" true".length)] : []));
    const before = everyFile(path.dirname(folder));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), changes, async (file, all) => {
        const original = fs.readFileSync(file);
        const bytes = changed(original, all);
        fs.writeFileSync(file, bytes);
        try {
          const found = await outcome(folder);
          const isBlob = file.includes("sha256") && !original.equals(bytes);
          if (isBlob) expect(found.some((each) => each.startsWith("SHEAF_") || each.startsWith("format."))).toBe(true);
        } finally {
          fs.writeFileSync(file, original);
        }
      }),
      { numRuns: 300 },
    );
    const after = everyFile(path.dirname(folder)).filter((line) => !line.includes(`${path.sep}store`));
    expect(after).toEqual(before);
  }, 240_000);

  it.each(["docker", "oci"])(
    "in an archive of %s",
    async (kind) => {
      const folder = temporary();
      const file = path.join(folder, "image.tar");
      await writeDockerArchive(file, image, ["app"]);
      if (kind === "docker") withoutIndex(file);
      const original = fs.readFileSync(file);
      await fc.assert(
        fc.asyncProperty(changes, async (all) => {
          fs.writeFileSync(file, changed(original, all));
          await outcome(file);
        }),
        { numRuns: 300 },
      );
      const left = everyFile(folder).filter((line) => line.endsWith("true"));
      expect(left).toEqual([`${file} true`]);
    },
    240_000,
  );

  it("in what a layer's gzip holds", async () => {
    const tar = tarOf(apiParts().layers.flat());
    await fc.assert(
      fc.asyncProperty(changes, async (all) => {
        const bytes = changed(tar, all);
        const folder = layoutOf([gzipped(bytes)]);
        await outcome(folder);
        fs.rmSync(path.dirname(folder), { recursive: true });
      }),
      { numRuns: 200 },
    );
  }, 240_000);

  /** Readers then go by manifest.json, as with an older `docker save`. */
  function withoutIndex(file: string): void {
    const bytes = fs.readFileSync(file);
    const at = bytes.indexOf("index.json");
    bytes.write("other.json", at);
    bytes.write(
      `${tarChecksum(bytes.subarray(at, at + blockSize))
        .toString(8)
        .padStart(6, "0")}\0 `,
      at + 148,
    );
    fs.writeFileSync(file, bytes);
  }
});
