import * as fs from "node:fs";
import * as path from "node:path";

import * as fc from "fast-check";
import { describe, expect, it, onTestFinished, vi } from "vitest";

import { SheafError } from "../../src/errors.ts";
import type { Image } from "../../src/oci/image.ts";
import { imageDescriptor } from "../../src/oci/image.ts";
import { mediaTypes } from "../../src/oci/types.ts";
import type { Platform } from "../../src/platform.ts";
import { pullImage, type PulledImage } from "../../src/registry/pull.ts";
import { parseRegistryReference } from "../../src/registry/reference.ts";
import { serveImage } from "../../src/registry/serve.ts";
import { sha256 } from "../../src/store/store.ts";
import { temporary, text } from "../archive/oracle.ts";
import { f, imageOf, layerOf, reshaped } from "../oci/images.ts";
import { type Answers, type FakeAnswer, fakeServer, holding } from "./fake-registry.ts";

vi.mock(import("node:timers/promises"), async (original) => ({
  ...(await original()),
  setTimeout: async () => undefined as never,
}));

const image = imageOf([layerOf([f("a", "a".repeat(300_000))]), layerOf([f("b")])]);
const [layer] = image.layers as [Image["layers"][number]];
const layerBytes = await bytesOf(layer.compressed());
const contents = contentsOf(image);

function contentsOf(of: Image, layers: Record<string, { bytes: Uint8Array }> = {}): Parameters<typeof holding>[0] {
  return {
    "1.0": { type: mediaTypes.manifest, bytes: of.manifestBytes },
    [of.digest]: { type: mediaTypes.manifest, bytes: of.manifestBytes },
    [of.manifest.config.digest]: { bytes: of.configBytes },
    [layer.digest]: { bytes: layerBytes },
    ...layers,
  };
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

function firstLayer({ image: { layers } }: PulledImage): AsyncIterable<Uint8Array> {
  return (layers as [Image["layers"][number]])[0].compressed();
}

interface PullTest {
  tag?: string;
  platform?: Platform;
  login?: object;
}

async function pull(host: string, { tag = "1.0", platform, login }: PullTest = {}): Promise<PulledImage> {
  const reference = parseRegistryReference(`${host}/team/app:${tag}`);
  if (!reference) throw new Error("no reference");
  const home = temporary();
  if (login) {
    fs.mkdirSync(path.join(home, ".docker"));
    fs.writeFileSync(path.join(home, ".docker", "config.json"), JSON.stringify({ auths: { [host]: login } }));
  }
  const pulled = await pullImage(reference, { platform, environment: { HOME: home, PATH: "/usr/bin:/bin" } });
  onTestFinished(() => pulled.close());
  return pulled;
}

const pullFrom = async (answers: Answers, options?: PullTest) => pull((await fakeServer(answers)).host, options);
const except = (pattern: RegExp, answer: Answers): Answers => {
  const usual = holding(contents);
  return (asked, all) => (pattern.test(asked.url) ? answer(asked, all) : usual(asked, all));
};

describe("pullImage", () => {
  it("reads what the registry in this process serves", async () => {
    const serving = await serveImage(image, { repository: "team/app", tag: "1.0" });
    onTestFinished(() => serving.close());
    const pulled = await pull(serving.host);
    expect(pulled.image).toMatchObject({ digest: image.digest, config: image.config, manifest: image.manifest });
    expect(
      serving.served.map(({ digest }) => digest),
      "layers are not touched",
    ).toEqual([image.manifest.config.digest]);
    for (const [index, each] of pulled.image.layers.entries()) {
      expect(sha256(await bytesOf(each.compressed()))).toBe(image.layers[index]?.digest);
      expect(sha256(await bytesOf(each.uncompressed()))).toBe(image.layers[index]?.diffId);
    }
  });

  const arm = imageOf([layerOf([f("arm")])], { config: { os: "linux", architecture: "arm64", config: {} } });
  const index = text(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [imageDescriptor(image), imageDescriptor(arm)],
    }),
  );
  const both = holding({ ...contentsOf(arm), ...contents, "1.0": { type: mediaTypes.index, bytes: index } });

  it.each(["amd64", "arm64"] as const)("takes %s out of an index", async (architecture) => {
    const pulled = await pullFrom(both, { platform: { os: "linux", architecture } });
    expect(pulled.image.config.architecture).toBe(architecture);
    expect(pulled.digest).toBe(sha256(index));
  });

  it("says what there is when the platform isn't", async () => {
    const failure = pullFrom(holding(contents), { platform: { os: "linux", architecture: "arm64" } });
    await expect(failure).rejects.toMatchObject({ code: "SHEAF_IMAGE", details: [["it holds", "amd64"]] });
  });

  it("goes on where a connection broke, with or without the server's help", async () => {
    for (const helps of [true, false]) {
      let broken = 0;
      const server = await fakeServer(
        except(/blobs\/sha256:/, ({ url, range }) => {
          if (!url.includes(layer.digest)) return holding(contents)({ url } as never, []);
          const start = helps ? Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0) : 0;
          const body = layerBytes.subarray(start);
          if (broken++ > 1) return { status: start > 0 ? 206 : 200, body };
          return {
            status: start > 0 ? 206 : 200,
            headers: { "content-length": String(body.length) },
            body: (async function* () {
              yield body.subarray(0, 50);
              await new Promise((resolve) => setTimeout(resolve, 20));
              throw new Error("broken");
            })(),
          };
        }),
      );
      const pulled = await pull(server.host);
      expect(sha256(await bytesOf(firstLayer(pulled))), `helps: ${helps}`).toBe(layer.digest);
      expect(server.asked.some(({ range }) => range !== undefined)).toBe(true);
    }
  });

  it("tries again what is busy for a while, and gives up on what stays so", async () => {
    let count = 0;
    const pulled = await pullFrom(
      except(/manifests/, () =>
        count++ < 2 ? { status: 503 } : holding(contents)({ url: "/v2/team/app/manifests/1.0" } as never, []),
      ),
    );
    expect(pulled.image.digest).toBe(image.digest);
    await expect(pullFrom(except(/manifests/, () => ({ status: 429 })))).rejects.toMatchObject({ code: "SHEAF_FETCH" });
  });
});

describe("authentication", () => {
  const anna = { auth: Buffer.from("anna:secret").toString("base64") };
  const basic = `Basic ${anna.auth}`;
  const bearer = (host: string) => `Bearer realm="http://${host}/token",service="it"`;

  it("sends user and password where they are asked for, and says how to log in where there are none", async () => {
    const answers: Answers = (asked, all) =>
      asked.authorization === basic
        ? holding(contents)(asked, all)
        : { status: 401, headers: { "www-authenticate": 'Basic realm="it"' } };
    expect((await pullFrom(answers, { login: anna })).image.digest).toBe(image.digest);
    await expect(pullFrom(answers)).rejects.toMatchObject({ code: "SHEAF_REGISTRY_AUTH", hints: [/docker login/] });
    const wrong = pullFrom(answers, { login: { username: "anna", password: "wrong" } });
    await expect(wrong).rejects.toMatchObject({ code: "SHEAF_REGISTRY_AUTH", message: /refused access/ });
  });

  const tokenServer = (accepts: (asked: { authorization?: string; body: string; url: string }) => boolean): Answers => {
    let issued = 0;
    return (asked, all) => {
      const { url, authorization } = asked;
      if (url.startsWith("/token")) {
        if (!accepts(asked)) return { status: 401, body: '{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}' };
        return { body: JSON.stringify({ access_token: `token-${++issued}` }) };
      }
      // Each token is good for two requests, so that one runs out on the way.
      const used = all.filter((each) => each.authorization === authorization).length;
      if (authorization?.startsWith("Bearer token-") && used <= 2) return holding(contents)(asked, all);
      return { status: 401, headers: { "www-authenticate": bearer(lastHost) } };
    };
  };
  let lastHost = "";
  const withToken = async (accepts: Parameters<typeof tokenServer>[0], options?: PullTest) => {
    const server = await fakeServer(tokenServer(accepts));
    lastHost = server.host;
    return { server, pulled: await pull(server.host, options) };
  };

  it("exchanges a login for a token, and gets another when that has expired", async () => {
    const { server, pulled } = await withToken(({ authorization }) => authorization === basic, { login: anna });
    expect(sha256(await bytesOf(firstLayer(pulled)))).toBe(layer.digest);
    const tokens = server.asked.filter(({ url }) => url.startsWith("/token"));
    expect(tokens.length).toBeGreaterThan(1);
    expect(tokens[0]?.url).toContain("scope=repository%3Ateam%2Fapp%3Apull");
    expect(tokens[0]?.url).toContain("service=it");
  });

  it("gets a token without a login where none is needed", async () => {
    const { server } = await withToken(({ authorization }) => authorization === undefined);
    expect(server.asked.filter(({ authorization }) => authorization?.startsWith("Basic"))).toEqual([]);
  });

  it("exchanges an identity token as OAuth 2 has it", async () => {
    const { server } = await withToken(({ body }) => body.includes("refresh_token=idt"), {
      login: { identitytoken: "idt" },
    });
    expect(server.asked.find(({ url }) => url === "/token")).toMatchObject({
      method: "POST",
      body: expect.stringContaining("grant_type=refresh_token"),
    });
  });

  it("passes on what the server says of a refusal", async () => {
    await expect(withToken(() => false, { login: anna })).rejects.toMatchObject({
      code: "SHEAF_REGISTRY_AUTH",
      details: expect.arrayContaining([["it says", "who?"]]),
    });
  });

  it("ends when a registry refuses every token", async () => {
    const server = await fakeServer(({ url }) =>
      url.startsWith("/token")
        ? { body: '{"token":"t"}' }
        : { status: 401, headers: { "www-authenticate": bearer(lastHost) } },
    );
    lastHost = server.host;
    await expect(pull(server.host)).rejects.toMatchObject({ code: "SHEAF_REGISTRY_AUTH" });
    expect(server.asked.length).toBeLessThan(8);
  });

  it.each([
    ['Bearer service="it"', /does not say where/],
    ['Bearer realm="http://auth.example.test/token"', /where a registry can't be/],
    ['Bearer realm="file:///etc/passwd"', /where a registry can't be/],
    ['Bearer realm="https://user:pw@auth.example.test/"', /with credentials/],
  ])("sends no password along %s", async (challenge, message) => {
    const failure = pullFrom(() => ({ status: 401, headers: { "www-authenticate": challenge } }), { login: anna });
    await expect(failure).rejects.toMatchObject({ code: "SHEAF_REGISTRY", message });
  });

  it.each(["{}", "[]", "no", '{"token":1}', '{"token":"a b\\r\\nx: y"}', `{"token":"${"x".repeat(2_000_000)}"}`])(
    "refuses a token in %#",
    async (body) => {
      const server = await fakeServer(({ url }) =>
        url.startsWith("/token") ? { body } : { status: 401, headers: { "www-authenticate": bearer(lastHost) } },
      );
      lastHost = server.host;
      await expect(pull(server.host)).rejects.toMatchObject({ code: "SHEAF_REGISTRY" });
    },
  );
});

describe("redirects", () => {
  it("keep the authorization on the way to the same origin alone", async () => {
    const storage = await fakeServer(() => ({ body: layerBytes }));
    const blob = except(new RegExp(`blobs/${layer.digest}`), () => ({
      status: 307,
      headers: { location: `http://${storage.host}/bucket/x?signature=1` },
    }));
    const server = await fakeServer((asked, all) =>
      asked.authorization ? blob(asked, all) : { status: 401, headers: { "www-authenticate": "Basic" } },
    );
    const pulled = await pull(server.host, { login: { username: "anna", password: "secret" } });
    expect(sha256(await bytesOf(firstLayer(pulled)))).toBe(layer.digest);
    expect(storage.asked).toMatchObject([{ url: "/bucket/x?signature=1", authorization: undefined }]);
    expect(server.asked.at(-1)?.authorization).toMatch(/^Basic /);
  });

  const answers = (location: string): Answers => except(/manifests/, () => ({ status: 302, headers: { location } }));

  it.each([
    ["http://storage.example.test/x", /where a registry can't be/],
    ["ftp://127.0.0.1/x", /where a registry can't be/],
    ["/v2/team/app/manifests/1.0", /redirects in a circle/],
    ["http://[", /no URL/],
    ["https://user:password@storage.example.test/", /with credentials/],
  ])("to %s are refused", async (location, message) => {
    await expect(pullFrom(answers(location))).rejects.toMatchObject({ code: "SHEAF_REGISTRY", message });
  });
});

describe("what a registry must not do", () => {
  const manifest = (answer: FakeAnswer) => pullFrom(except(/manifests/, () => answer));
  const endless = async function* () {
    for (;;) yield Buffer.alloc(65_536, 32);
  };
  const shaped = (change: object) => Buffer.from(JSON.stringify({ ...image.manifest, ...change }));

  it.each<[string, FakeAnswer, object]>([
    [
      "another digest",
      { headers: { "docker-content-digest": `sha256:${"0".repeat(64)}` }, body: image.manifestBytes },
      { code: "SHEAF_DIGEST" },
    ],
    ["an endless manifest", { body: endless() }, { code: "SHEAF_REGISTRY" }],
    ["HTML", { headers: { "content-type": "text/html" }, body: "<html>" }, { code: "SHEAF_IMAGE" }],
    [
      "an index that is none",
      { headers: { "content-type": mediaTypes.index }, body: image.manifestBytes },
      { code: "SHEAF_IMAGE" },
    ],
    ["an index and manifest at once", { body: shaped({ manifests: [] }) }, { code: "SHEAF_IMAGE", message: /at once/ }],
    [
      "Docker's first schema",
      { body: '{"schemaVersion":1,"fsLayers":[]}' },
      { code: "SHEAF_IMAGE", message: /obsolete/ },
    ],
    [
      "a chart",
      { body: shaped({ config: { ...image.manifest.config, mediaType: "application/vnd.cncf.helm.config.v1+json" } }) },
      { code: "SHEAF_IMAGE", message: /no container image/ },
    ],
    [
      "some other document",
      { body: shaped({ mediaType: "text/plain" }) },
      { code: "SHEAF_IMAGE", message: /text\/plain/ },
    ],
    ["a huge config", { body: shaped({ config: { ...image.manifest.config, size: 1e9 } }) }, { code: "SHEAF_IMAGE" }],
    ["403", { status: 403 }, { code: "SHEAF_REGISTRY_AUTH" }],
    ["418", { status: 418 }, { code: "SHEAF_REGISTRY" }],
    [
      "404",
      { status: 404, body: '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}' },
      { code: "SHEAF_REGISTRY", details: [["it says", "manifest unknown"]] },
    ],
  ])("send %s", async (_, answer, error) => {
    await expect(manifest(answer)).rejects.toMatchObject(error);
  });

  it("send indexes in indexes for ever", async () => {
    const answers: Answers = ({ url }, all) => {
      if (url === "/v2/") return {};
      // Each names the next by its digest.
      const depth = all.length;
      return { body: nested[nested.length - depth + 1] ?? nested.at(-1) };
    };
    const nested: Uint8Array[] = [Buffer.from(image.manifestBytes)];
    for (let depth = 0; depth < 6; depth += 1) {
      const inner = nested.at(-1) as Uint8Array;
      const descriptor = { mediaType: mediaTypes.index, digest: sha256(inner), size: inner.length };
      nested.push(Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [descriptor] })));
    }
    await expect(pullFrom(answers)).rejects.toMatchObject({ code: "SHEAF_IMAGE", message: /indexes in indexes/ });
  });

  const blob = async (answer: FakeAnswer) => {
    const pulled = await pullFrom(except(new RegExp(`blobs/${layer.digest}`), () => answer));
    return bytesOf(firstLayer(pulled));
  };

  it.each<[string, FakeAnswer, object]>([
    ["other bytes", { body: Buffer.alloc(layerBytes.length) }, { code: "SHEAF_DIGEST" }],
    ["an endless blob", { body: endless() }, { code: "SHEAF_DIGEST", message: /more than/ }],
    ["a blob that is too short", { body: layerBytes.subarray(0, 100) }, { code: "SHEAF_FETCH" }],
    ["no blob", { status: 404 }, { code: "SHEAF_REGISTRY" }],
    ["a teapot", { status: 418 }, { code: "SHEAF_REGISTRY" }],
  ])("send %s for a layer", async (_, answer, error) => {
    await expect(blob(answer)).rejects.toMatchObject(error);
  });

  it("is no registry at all", async () => {
    await expect(pullFrom(() => ({ status: 404 }))).rejects.toMatchObject({ message: /is no container registry/ });
    await expect(pullFrom(() => ({ status: 302, headers: { location: "/v2/" } }))).rejects.toMatchObject({
      message: /in a circle/,
    });
  });

  it("waits for us: a layer may be left in the middle", async () => {
    const pulled = await pullFrom(holding(contents));
    for await (const chunk of firstLayer(pulled)) {
      void chunk;
      break;
    }
    await pulled.close();
  });

  it("changes the config behind the manifest's back", async () => {
    const other = reshaped(image, { config: { author: "somebody" } });
    const answers = holding({ ...contents, [image.manifest.config.digest]: { bytes: other.configBytes } });
    await expect(pullFrom(answers)).rejects.toMatchObject({ code: "SHEAF_DIGEST" });
  });
});

it("answers any document with an image or an error that a person can read", async () => {
  let manifest: Uint8Array = image.manifestBytes;
  const headers: Record<string, string> = {};
  const server = await fakeServer(except(/manifests/, () => ({ headers, body: manifest })));
  const fields = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "platform",
    "digest",
    "size",
    "annotations",
  ];
  const leaf = fc.oneof(
    fc.constantFrom(null, 2, -1, 1e300, "", "sha256:x", image.digest, image.manifest.config.digest),
    fc.constantFrom(...Object.values(mediaTypes)),
    fc.string(),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaf,
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...fields), tie("value"), { maxKeys: 5 }),
    ),
  }));
  const mutated = fc
    .tuple(fc.constantFrom(...fields), value)
    .map(([field, other]) => JSON.stringify({ ...image.manifest, [field]: other }));
  const documents = fc.oneof(
    mutated,
    value.map((each) => JSON.stringify(each)),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(documents, fc.constantFrom(undefined, ...Object.values(mediaTypes)), async (text, type) => {
      manifest = Buffer.from(text);
      delete headers["content-type"];
      if (type !== undefined) headers["content-type"] = type;
      const outcome = await pull(server.host).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(SheafError);
    }),
    { numRuns: 60 },
  );
});
