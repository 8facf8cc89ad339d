import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";
import { parse, stringify } from "smol-toml";

import { contractSettings } from "../../src/contract/contract-settings.ts";
import { resolveContract } from "../../src/contract/contract.ts";
import { roleOfImage } from "../../src/contract/role.ts";
import { readConfigFile } from "../../src/project/config/read-config.ts";
import { ContractSettings } from "../../src/project/config/schema.ts";

const api = { Cmd: ["uvicorn", "app.main:app"] };

describe("the role of an image", () => {
  it.each<[string[], string[], string]>([
    [[], [], "base"],
    [[], ["bash"], "base"],
    [[], ["/usr/local/bin/python3"], "base"],
    [["/usr/bin/tini", "--"], ["uvicorn", "app.main:app"], "api"],
    [["tini", "-g", "gunicorn"], ["app:app"], "api"],
    [[], ["python", "-m", "uvicorn", "app:app"], "api"],
    [[], ["/bin/sh", "-c", "alembic upgrade head && exec uvicorn app:app"], "api"],
    [[], ["/app/.venv/bin/celery", "-A", "app", "worker"], "worker"],
    [[], ["celery", "-A", "app", "beat"], "beat"],
    [[], ["celery", "flower"], "flower"],
    [[], ["python", "main.py"], "other"],
    [["docker-entrypoint.sh"], ["redis-server"], "other"],
  ])("%j %j is %s", (Entrypoint, Cmd, role) => {
    expect(roleOfImage({ Entrypoint, Cmd })).toBe(role);
  });
});

describe("a contract", () => {
  it("asks of a foreign image what holds for all", () => {
    const contract = resolveContract({ name: "x", runtime: api });
    expect(contract).toMatchObject({
      role: "api",
      health: {},
      setuid: "packaged",
      cuda: "none",
      source: "defaults for an API",
    });
    expect(contract.size).toBeUndefined();
  });

  it("names a GPU that there is not by its place", async () => {
    const text = '[contract]\ngpu-targets = ["t4", "a11"]\n[images.worker.contract]\ngpu-targets = ["8.6"]\n';
    await expect(readConfigFile("contract.toml", text)).rejects.toMatchObject({
      details: [["contract.gpu-targets.1", expect.stringContaining('"a11" is not a known GPU, did you mean a10?')]],
    });
    const contract = resolveContract({
      name: "x",
      runtime: api,
      config: { contract: { "gpu-targets": ["a10", "7.5"] } },
    });
    expect(contract.gpuTargets).toEqual([75, 86]);
    expect(contractSettings(contract)["gpu-targets"]).toEqual(["7.5", "8.6"]);
  });

  it("asks of a project's image what it promises", () => {
    const config = { user: "web", images: { api: { budget: "300MB", port: 9000 }, worker: {} } };
    const contract = resolveContract({
      name: "registry.example.test/shop-api:1.0",
      runtime: api,
      config,
      configFile: "pyproject.toml",
    });
    expect(contract).toMatchObject({
      source: "defaults for an API; pyproject.toml, image api",
      user: "web",
      size: 300e6,
      ports: [9000],
      health: { interval: 30, timeout: 3, startPeriod: 40, retries: 3 },
      setuid: "none",
    });
  });

  it("has an image's own over those of all, table by table", () => {
    const contract = { waste: "1MB", skip: { "files.tests": "shipped" }, env: { A: "1" } };
    const own = { waste: "2MB", skip: { "files.tmp": "none" }, labels: ["team"] };
    const config = { contract, images: { api: { contract: own } } };
    expect(resolveContract({ name: "api", runtime: api, config })).toMatchObject({
      waste: 2e6,
      skip: { "files.tests": "shipped", "files.tmp": "none" },
      env: { A: "1" },
      labels: ["team"],
    });
  });

  it.each([
    [{ name: "shop-worker:1" }, "worker"],
    [{ name: "x", image: "worker" }, "worker"],
    [{ name: "x", runtime: { Labels: { "org.opencontainers.image.title": "shop-worker" } } }, "worker"],
    [{ name: "x", runtime: { Cmd: ["celery", "worker"] } }, "worker"],
    [{ name: "x", planned: { name: "worker", role: "worker" as const } }, "worker"],
    [{ name: "x", runtime: api }, "api"],
    [{ name: "x", runtime: { Cmd: ["redis-server"] } }, undefined],
  ])("finds the image of the configuration by %j", (input, image) => {
    const config = { images: { api: {}, worker: {} } };
    const { source } = resolveContract({ runtime: {}, configFile: "sheaf.toml", config, ...input });
    expect(source.includes("image")).toBe(image !== undefined);
    if (image !== undefined) expect(source).toContain(`image ${image}`);
  });

  it("refuses an image that the configuration doesn't have", () => {
    expect(() => resolveContract({ name: "x", runtime: {}, image: "nope", config: { images: { api: {} } } })).toThrow(
      /no image "nope"/,
    );
  });

  it("comes back from what is printed of it", async () => {
    const config = {
      contract: {
        size: "123456789B",
        health: { interval: 10 },
        checks: { terms: { file: "/app/terms.md" } },
        "health-body": { status: "healthy" },
      },
      images: { api: { role: "api" as const } },
    };
    const first = resolveContract({ name: "api", runtime: api, config });
    const printed = stringify({ contract: contractSettings(first) });
    const again = resolveContract({
      name: "api",
      runtime: api,
      config: await readConfigFile("contract.toml", printed),
    });
    expect({ ...again, source: "" }).toEqual({ ...first, source: "" });
    expect(parse(printed)).toHaveProperty("contract.size", "123456789B");
  });

  it.each([
    ['[contract]\nsize = "big"', /"big" is not a size/],
    ['[contract]\ncuda = "twelve"', /"twelve" is none of/],
    ['[contract.skip]\n"files.tests" = ""', /skip/],
    ['[contract.skip]\ntests = "x"', /is no id of a check/],
    ['[contract.checks.a]\nfile = "a"\nlabel = "b"', /has file and label of/],
    ["[contract.checks.a]\n", /has none of/],
    ['[contract.checks.a]\nfile = "a"\noutput = "("', /is not a regular expression/],
    ['[contract]\nlabel = ["a"]', /unknown key, did you mean labels/],
  ])("with mistakes is an error: %s", async (text, message) => {
    const error = await readConfigFile("contract.toml", text).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "SHEAF_CONFIG", exitCode: 2 });
    expect(JSON.stringify((error as { details: unknown }).details)).toMatch(
      new RegExp(message.source.replaceAll('"', '\\\\*"')),
    );
  });

  it("has every key in docs/verify.md, and no other", () => {
    const text = fs.readFileSync(path.join(import.meta.dirname, "..", "..", "docs", "verify.md"), "utf8");
    const [, section = ""] = text.split(/^## (?=The contract)/m);
    const [own = ""] = section.split(/^## /m);
    const rows = [...own.matchAll(/^\| ((?:`[a-z-]+`(?:, )?)+) \|/gm)].flatMap(([, cell = ""]) =>
      [...cell.matchAll(/`([a-z-]+)`/g)].map(([, key]) => key),
    );
    const later = [
      ...(/so that these keys have no effect so far: ([^]*?)\n\n/.exec(own)?.[1] ?? "").matchAll(
        /`([a-z-]+)`(?=[,\s]|\.)/g,
      ),
    ].map(([, key]) => key);
    const inBuild = ["clean", "cached", "code", "dependency"];
    expect([...rows, ...later].filter((key) => !inBuild.includes(key ?? "")).toSorted()).toEqual(
      Object.keys(ContractSettings.shape).toSorted(),
    );
  });
});
