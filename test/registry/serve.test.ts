import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { parseByteRange, sliceChunks } from "../../src/registry/byte-range.ts";
import { serveImage } from "../../src/registry/serve.ts";
import { sha256 } from "../../src/store/store.ts";
import { imageOf, layerOf } from "../engine/images.ts";
import { output, requireOrSkip, tool } from "../lab/lab.ts";

const image = imageOf([layerOf([{ path: "a", data: "x".repeat(200_000) }], 0), layerOf([{ path: "b", data: "b" }])]);
const serving = await serveImage(image, { repository: "sheaf/it", tag: "1.0" });
const base = `http://${serving.host}/v2`;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-serve-"));
afterAll(async () => {
  await serving.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

const [big] = image.layers as [(typeof image.layers)[0]];
const bigBytes = Buffer.concat(await collect(big.compressed()));

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

describe("serveImage", () => {
  it("is on loopback only and says that it is a registry", async () => {
    expect(serving.host).toMatch(/^127\.0\.0\.1:\d+$/);
    const response = await fetch(`${base}/`);
    expect(response.status).toBe(200);
    expect(response.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
  });

  it.each(["1.0", image.digest])("answers GET and HEAD for the manifest %s", async (reference) => {
    const url = `${base}/sheaf/it/manifests/${reference}`;
    const response = await fetch(url);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.from(image.manifestBytes));
    const head = await fetch(url, { method: "HEAD" });
    for (const { headers, status } of [response, head]) {
      expect(status).toBe(200);
      expect(headers.get("content-type")).toBe("application/vnd.oci.image.manifest.v1+json");
      expect(headers.get("docker-content-digest")).toBe(image.digest);
      expect(headers.get("content-length")).toBe(String(image.manifestBytes.length));
    }
    expect(await head.text()).toBe("");
  });

  it("sends config and layers as they are, and counts what was sent", async () => {
    const before = serving.served.length;
    for (const digest of [image.manifest.config.digest, big.digest]) {
      const response = await fetch(`${base}/sheaf/it/blobs/${digest}`);
      expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(digest);
    }
    await fetch(`${base}/sheaf/it/blobs/${big.digest}`, { method: "HEAD" });
    expect(serving.served.slice(before)).toEqual([
      { digest: image.manifest.config.digest, bytes: image.configBytes.length },
      { digest: big.digest, bytes: big.size },
    ]);
  });

  it("sends parts of a blob, for a download that goes on", async () => {
    const url = `${base}/sheaf/it/blobs/${big.digest}`;
    const get = async (range: string) => {
      const response = await fetch(url, { headers: { Range: range } });
      return { response, bytes: Buffer.from(await response.arrayBuffer()) };
    };
    const middle = await get("bytes=70000-140000");
    expect(middle.response.status).toBe(206);
    expect(middle.response.headers.get("content-range")).toBe(`bytes 70000-140000/${big.size}`);
    expect(middle.bytes).toEqual(bigBytes.subarray(70_000, 140_001));
    expect((await get("bytes=199999-")).bytes).toEqual(bigBytes.subarray(199_999));
    expect((await get("bytes=-5")).bytes).toEqual(bigBytes.subarray(-5));
    expect((await get(`bytes=${big.size}-`)).response.status).toBe(416);
  });

  it.each([
    ["manifests/2.0", 404, "MANIFEST_UNKNOWN"],
    [`manifests/${big.digest}`, 404, "MANIFEST_UNKNOWN"],
    [`blobs/${image.digest}`, 404, "BLOB_UNKNOWN"],
    ["tags/list", 404, "NAME_UNKNOWN"],
  ])("refuses %s", async (rest, status, code) => {
    const response = await fetch(`${base}/sheaf/it/${rest}`);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ errors: [{ code }] });
  });

  it("gives nothing to those who don't know the name, and takes nothing", async () => {
    expect((await fetch(`${base}/other/manifests/1.0`)).status).toBe(404);
    expect((await fetch(`${base}/_catalog`)).status).toBe(404);
    const put = await fetch(`${base}/sheaf/it/blobs/uploads/`, { method: "POST" });
    expect(put.status).toBe(405);
    const odd = await raw("/v2/sheaf/it/../it/manifests/1.0");
    expect(odd).toBe(404);
  });

  it("survives a client that goes away in the middle, and closes with one still there", async () => {
    const other = await serveImage(image, { repository: "r", tag: "t" });
    const response = await fetch(`http://${other.host}/v2/r/blobs/${big.digest}`);
    await response.body?.cancel();
    const idle = await fetch(`http://${other.host}/v2/`);
    expect([idle.status, other.requests]).toEqual([200, 2]);
    await other.close();
    await expect(fetch(`http://${other.host}/v2/`)).rejects.toThrow();
  });

  it.skipIf(!requireOrSkip("skopeo", tool("skopeo")))(
    "is a registry to skopeo (skipped where it is not installed)",
    async () => {
      const target = path.join(folder, "copied");
      const source = `docker://${serving.host}/sheaf/it:1.0`;
      await output(tool("skopeo") ?? "", [
        "copy",
        "--insecure-policy",
        "--src-tls-verify=false",
        source,
        `dir:${target}`,
      ]);
      expect(sha256(fs.readFileSync(path.join(target, "manifest.json")))).toBe(image.digest);
      for (const { digest } of [image.manifest.config, ...image.manifest.layers]) {
        expect(sha256(fs.readFileSync(path.join(target, digest.slice(7))))).toBe(digest);
      }
    },
  );
});

/** The status of a path as it is written, which fetch would normalise. */
async function raw(path: string): Promise<number | undefined> {
  const [host, port] = serving.host.split(":");
  return await new Promise((resolve, reject) => {
    http
      .get({ host, port, path, agent: false }, (response) => resolve(response.resume().statusCode))
      .on("error", reject);
  });
}

describe("parseByteRange", () => {
  it.each([
    ["bytes=0-0", { start: 0, end: 1 }],
    ["bytes=5-", { start: 5, end: 10 }],
    ["bytes=5-99", { start: 5, end: 10 }],
    ["bytes=-3", { start: 7, end: 10 }],
    ["bytes=-99", { start: 0, end: 10 }],
    ["bytes=10-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=6-5", undefined],
    ["bytes=-", undefined],
    ["bytes=0-1,3-4", undefined],
    ["items=0-1", undefined],
    [undefined, undefined],
  ])("%s of ten bytes", (header, expected) => expect(parseByteRange(header, 10)).toEqual(expected));
});

describe("sliceChunks", () => {
  it("cuts at any place and reads no further than it must", async () => {
    const bytes = Uint8Array.from({ length: 10 }, (_, index) => index);
    for (let start = 0; start < 10; start++) {
      for (let end = start + 1; end <= 10; end++) {
        let read = 0;
        async function* chunks() {
          for (let offset = 0; offset < 10; offset += 3)
            yield bytes.subarray(offset, (read = Math.min(offset + 3, 10)));
        }
        const cut = Buffer.concat(await collect(sliceChunks(chunks(), start, end)));
        expect([...cut]).toEqual([...bytes.subarray(start, end)]);
        expect(read).toBeLessThan(end + 3);
      }
    }
  });
});
