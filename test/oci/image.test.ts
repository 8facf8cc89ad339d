import { describe, expect, it } from "vitest";

import { canonicalJson } from "../../src/oci/canonical-json.ts";
import { configInstructions } from "../../src/oci/history.ts";
import { fullName, tagOf, withTag } from "../../src/oci/image-name.ts";
import { buildImage, imageDescriptor } from "../../src/oci/image.ts";
import { mediaTypes, type RuntimeConfig } from "../../src/oci/types.ts";
import { d, digestOf, f, imageOf, layerOf } from "./images.ts";

const second = 1_000_000_000;
const runtime: RuntimeConfig = {
  User: "10001:10001",
  ExposedPorts: { "8000/tcp": {} },
  Env: ["PATH=/usr/local/bin:/usr/bin", "APP_ENV=production"],
  Entrypoint: ["/usr/bin/tini", "--"],
  Cmd: ["uvicorn", "app.main:app"],
  WorkingDir: "/app",
  Labels: { "org.opencontainers.image.title": "app" },
  StopSignal: "SIGTERM",
  Healthcheck: {
    Test: ["CMD", "wget", "-qO-", "http://localhost:8000/health"],
    Interval: 30 * second,
    Timeout: 3 * second,
    StartPeriod: 40 * second,
    Retries: 3,
  },
};
const config = { os: "linux", architecture: "arm64", created: "1970-01-01T00:00:00Z", config: runtime };
const layers = [layerOf([d("usr")], { kind: "base", createdBy: "sheaf: base" }), layerOf([f("app")])];

describe("buildImage", () => {
  it("describes layers and config by their digests", () => {
    const image = buildImage({ layers, config, annotations: { b: "2", a: "1" } });
    expect(image.digest).toBe(digestOf(image.manifestBytes));
    expect(image.manifest).toMatchObject({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { digest: digestOf(image.configBytes), size: image.configBytes.length },
      layers: layers.map(({ digest, size }) => ({ mediaType: mediaTypes.layerGzip, digest, size })),
    });
    expect(image.config.rootfs).toEqual({ type: "layers", diff_ids: layers.map((layer) => layer.diffId) });
    expect(image.platform).toEqual({ os: "linux", architecture: "arm64" });
    expect(imageDescriptor(image)).toMatchObject({ digest: image.digest, size: image.manifestBytes.length });
    expect(JSON.parse(Buffer.from(image.configBytes).toString())).toEqual(image.config);
  });

  it("tells a history as long as the layers (Docker refuses a longer one), and the config as empty layers", () => {
    const { history = [] } = buildImage({ layers, config }).config;
    expect(history.filter((entry) => !entry.empty_layer)).toEqual([
      { created: config.created, created_by: "sheaf: base", comment: "sheaf: base" },
      { created: config.created, created_by: "sheaf: test", comment: "sheaf: app" },
    ]);
    expect(history.filter((entry) => entry.empty_layer).map((entry) => entry.created_by)).toEqual(
      configInstructions(runtime),
    );
  });

  it("keeps the history of its base before its own", () => {
    const baseHistory = [{ created_by: "ADD rootfs.tar /" }, { created_by: 'CMD ["bash"]', empty_layer: true }];
    const { history = [] } = buildImage({ layers, config, baseHistory }).config;
    expect(history.slice(0, 3).map((entry) => entry.created_by)).toEqual([
      "ADD rootfs.tar /",
      'CMD ["bash"]',
      "sheaf: test",
    ]);
    expect(history.filter((entry) => !entry.empty_layer)).toHaveLength(layers.length);
  });

  it("refuses a base history of more layers than there are, as a bug of its caller", () => {
    expect(() => buildImage({ layers: [], config, baseHistory: [{ created_by: "ADD" }] })).toThrow(
      /history has 1 layers/,
    );
  });

  it("gives the same bytes whatever order keys were written in", () => {
    const reordered = Object.fromEntries(Object.entries(config).toReversed()) as typeof config;
    expect(buildImage({ layers, config: reordered }).digest).toBe(buildImage({ layers, config }).digest);
  });

  it("speaks OCI's media types throughout, for layers of a Docker base too", () => {
    const docker = layerOf([f("a")], { mediaType: mediaTypes.dockerLayerGzip });
    expect(imageOf([docker]).manifest.layers[0]?.mediaType).toBe(mediaTypes.layerGzip);
  });
});

describe("configInstructions", () => {
  it("writes what a Dockerfile would say, which scanners read", () => {
    expect(configInstructions(runtime)).toEqual([
      "LABEL org.opencontainers.image.title=app",
      "ENV PATH=/usr/local/bin:/usr/bin",
      "ENV APP_ENV=production",
      "WORKDIR /app",
      "USER 10001:10001",
      "EXPOSE 8000/tcp",
      "STOPSIGNAL SIGTERM",
      'HEALTHCHECK --interval=30s --timeout=3s --start-period=40s --retries=3 CMD ["wget","-qO-","http://localhost:8000/health"]',
      'ENTRYPOINT ["/usr/bin/tini","--"]',
      'CMD ["uvicorn","app.main:app"]',
    ]);
  });

  it.each([
    [{ Test: ["NONE"] }, "HEALTHCHECK NONE"],
    [
      { Test: ["CMD-SHELL", "curl -f http://localhost/"], Interval: second / 2 },
      "HEALTHCHECK --interval=500ms CMD curl -f http://localhost/",
    ],
  ])("writes the health check %j", (Healthcheck, expected) => {
    expect(configInstructions({ Healthcheck })).toEqual([expected]);
  });
});

it("canonicalJson sorts keys at every depth and leaves undefined out", () => {
  const json = Buffer.from(canonicalJson({ b: [{ z: 1, a: "ü" }], a: undefined, B: null })).toString();
  expect(json).toBe('{"B":null,"b":[{"a":"ü","z":1}]}');
});

it.each([
  ["app", "app:latest", "latest", "docker.io/library/app:latest"],
  ["team/app:1.0", "team/app:1.0", "1.0", "docker.io/team/app:1.0"],
  ["localhost:5000/app", "localhost:5000/app:latest", "latest", "localhost:5000/app:latest"],
  ["registry.example.test/a/b:c", "registry.example.test/a/b:c", "c", "registry.example.test/a/b:c"],
])("reads the image name %s", (name, ...expected) => {
  expect([withTag(name), tagOf(name), fullName(name)]).toEqual(expected);
});
