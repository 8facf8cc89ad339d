import * as fs from "node:fs";
import * as path from "node:path";

import { beforeEach, describe, expect, it, vi } from "vitest";

import {
  failure,
  hashOf,
  makeBench,
  makeProject,
  pinned,
  serveIndex,
  shown,
  target,
  temporaryFolder,
} from "./support.ts";

const any = (name: string, version = "1.0") => `${name}-${version}-py3-none-any.whl`;

beforeEach(() => {
  for (const name of Object.keys(process.env)) if (/^(?:PIP|UV)_/.test(name)) vi.stubEnv(name, undefined);
  vi.stubEnv("PIP_CONFIG_FILE", "/dev/null");
  vi.stubEnv("UV_CONFIG_FILE", path.join(temporaryFolder(), "uv.toml"));
  return () => vi.unstubAllEnvs();
});

describe.each(["json", "html"] as const)("an index that answers in %s", (format) => {
  it("gives the best wheel among those with a pinned hash, with its size and place", async () => {
    const names = [
      "lib-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
      "lib-1.0-cp312-cp312-manylinux_2_28_x86_64.whl",
      "lib-1.0-cp312-cp312-manylinux_2_40_x86_64.whl",
      "lib-1.0-cp312-cp312-musllinux_1_2_x86_64.whl",
      "lib-1.0-cp312-cp312t-manylinux_2_28_x86_64.whl",
      "lib-1.0-cp312-cp312-manylinux_2_28_aarch64.whl",
      "lib-1.0.tar.gz",
    ];
    const index = await serveIndex({ lib: [...names, any("lib", "1.1")] }, { format });
    const project = makeProject({ "requirements.txt": `--index-url ${index.url}\n${pinned("Lib==1.0", ...names)}` });
    const { resolve } = makeBench();
    const { distributions, locked, source } = await resolve(project);
    expect(distributions).toEqual([
      {
        name: "lib",
        version: "1.0",
        kind: "wheel",
        filename: names[1],
        sha256: hashOf(names[1]!),
        ...(format === "json" && { size: names[1]!.length }),
        url: `http://${index.host}/files/${names[1]}`,
        source: "requirements.txt:2",
        requiredBy: [],
      },
    ]);
    expect([locked, source]).toEqual([true, "requirements.txt"]);
    const arm = await resolve(project, { target: { ...target, platform: { os: "linux", architecture: "arm64" } } });
    expect(arm.distributions[0]?.filename).toBe(names[5]);
    const old = await resolve(project, { target: { ...target, glibc: [2, 24] } });
    expect(old.distributions[0]?.filename).toBe(names[0]);
    // One page serves all three targets.
    expect(index.requests).toEqual(["/simple/lib/"]);
  });

  it("says so when a pinned release is yanked, and uses it", async () => {
    const index = await serveIndex({ lib: [{ filename: any("lib"), yanked: "breaks <everything>" }] }, { format });
    const project = makeProject({ "requirements.txt": `-i ${index.url}\n${pinned("lib==1.0", any("lib"))}` });
    const resolution = await makeBench().resolve(project);
    expect(resolution.distributions).toHaveLength(1);
    expect(resolution.warnings).toEqual(["lib 1.0 (requirements.txt:2) is yanked: breaks <everything>"]);
  });

  it("refuses a release that the target's Python can't run", async () => {
    const index = await serveIndex({ lib: [{ filename: any("lib"), requiresPython: ">=3.13" }] }, { format });
    const project = makeProject({ "requirements.txt": `-i ${index.url}\n${pinned("lib==1.0", any("lib"))}` });
    const error = await failure(makeBench().resolve(project));
    expect(error.code).toBe("SHEAF_PYTHON");
    expect(shown(error)).toContain("lib 1.0 needs Python >=3.13, the image has 3.12.1");
    const resolution = await makeBench().resolve(project, { target: { ...target, python: "3.13.0" } });
    expect(resolution.distributions).toHaveLength(1);
  });
});

describe("what an index can't give", () => {
  it("names the wheels that exist, who asks, and the version to try", async () => {
    const wheels = [
      "pycocotools-2.0.6-cp38-cp38-manylinux2014_x86_64.whl",
      "pycocotools-2.0.6-cp311-cp311-manylinux2014_x86_64.whl",
    ];
    const later = ["2.0.7-cp311-cp311", "2.0.8-cp312-cp312", "2.0.9-cp312-cp312"].map(
      (tags) => `pycocotools-${tags}-manylinux2014_x86_64.whl`,
    );
    const index = await serveIndex({ pycocotools: [...wheels, ...later], ultralytics: [any("ultralytics", "8.3")] });
    const text = `-i ${index.url}\n${pinned("ultralytics==8.3", any("ultralytics", "8.3"))}    # via worker (pyproject.toml)\n${pinned("pycocotools==2.0.6", ...wheels)}    # via ultralytics\n`;
    const error = await failure(makeBench().resolve(makeProject({ "requirements.txt": text })));
    expect(error.code).toBe("SHEAF_NO_WHEEL");
    expect(shown(error)).toBe(
      [
        "pycocotools 2.0.6 has no wheel for CPython 3.12 on linux/amd64",
        "wheels exist for: cp38 cp311 (manylinux2014_x86_64)",
        "asked for by: ultralytics ← worker",
        "pinned in: requirements.txt:5",
        "pycocotools 2.0.8, the oldest version after it with one",
      ].join("\n"),
    );
  });

  it("reports every problem of a lock at once", async () => {
    const index = await serveIndex({ one: [any("one")], two: ["two-1.0-cp311-cp311-win_amd64.whl"] });
    const text = `-i ${index.url}\n${pinned("one==1.0", "other")}${pinned("two==1.0", "two-1.0-cp311-cp311-win_amd64.whl")}${pinned("three==1", "x")}`;
    const error = await failure(makeBench().resolve(makeProject({ "requirements.txt": text })));
    expect((error as unknown as { errors: { code: string }[] }).errors.map(({ code }) => code)).toEqual([
      "SHEAF_HASH_MISMATCH",
      "SHEAF_NOT_FOUND",
      "SHEAF_NO_WHEEL",
    ]);
  });

  it("tells a replaced file from a missing version", async () => {
    const index = await serveIndex({ lib: [any("lib"), any("lib", "1.2")] });
    const replaced = makeProject({ "requirements.txt": `-i ${index.url}\n${pinned("lib==1.0", "something else")}` });
    expect(await failure(makeBench().resolve(replaced))).toMatchObject({
      code: "SHEAF_HASH_MISMATCH",
      message: "lib 1.0: none of the 1 hashes in requirements.txt:2 belongs to a file at the index",
    });
    const missing = makeProject({ "requirements.txt": `-i ${index.url}\n${pinned("lib==1.1", any("lib"))}` });
    const error = await failure(makeBench().resolve(missing));
    expect([error.code, error.message]).toEqual(["SHEAF_NOT_FOUND", "lib has no version 1.1"]);
    expect(shown(error)).toContain("newest there: 1.0 1.2");
  });

  it("takes an sdist where there is no wheel, unless building is forbidden", async () => {
    const index = await serveIndex({
      "old-lib": ["old_lib-1.0.zip", "old-lib-1.0.tar.gz", "old_lib-1.0-cp27-cp27m-win32.whl"],
    });
    const text = `-i ${index.url}\n${pinned("old-lib==1.0", "old_lib-1.0.zip", "old-lib-1.0.tar.gz")}`;
    const project = makeProject({ "requirements.txt": text });
    const { distributions } = await makeBench().resolve(project);
    expect(distributions).toMatchObject([{ kind: "sdist", filename: "old-lib-1.0.tar.gz" }]);
    const error = await failure(makeBench().resolve(project, { noBuild: true }));
    expect(error.code).toBe("SHEAF_NO_WHEEL");
    expect(shown(error)).toContain("leave --no-build out");
  });

  it("hashes the file itself where the index tells no hash", async () => {
    const index = await serveIndex({ lib: [{ filename: any("lib"), hashless: true }] });
    const good = makeProject({ "requirements.txt": `-i ${index.url}\n${pinned("lib==1.0", any("lib"), "other")}` });
    expect((await makeBench().resolve(good)).distributions).toMatchObject([{ sha256: hashOf(any("lib")) }]);
    const bad = makeProject({ "requirements.txt": `-i ${index.url}\n${pinned("lib==1.0", "other")}` });
    expect(await failure(makeBench().resolve(bad))).toMatchObject({ code: "SHEAF_HASH_MISMATCH" });
  });
});

describe("private indexes", () => {
  it("sends what netrc holds, and says how to when there is nothing", async () => {
    const index = await serveIndex({ lib: [any("lib")] }, { user: "me:pa:ss" });
    const project = makeProject({ "requirements.txt": pinned("lib==1.0", any("lib")) });
    vi.stubEnv("PIP_INDEX_URL", index.url);
    vi.stubEnv("NETRC", path.join(temporaryFolder(), "none"));
    const error = await failure(makeBench().resolve(project));
    expect(error.code).toBe("SHEAF_INDEX_AUTH");
    expect(shown(error)).toContain("machine 127.0.0.1 login USER password TOKEN");
    const netrc = path.join(temporaryFolder(), "netrc");
    fs.writeFileSync(netrc, "machine 127.0.0.1 login me password pa:ss\n", { mode: 0o600 });
    vi.stubEnv("NETRC", netrc);
    expect((await makeBench().resolve(project)).distributions).toHaveLength(1);
  });

  it("keeps the credentials of an index URL out of errors, events and the store, and in the URL that is fetched", async () => {
    const index = await serveIndex({ lib: [any("lib")] }, { user: "me:s3cret" });
    vi.stubEnv("PIP_INDEX_URL", `http://me:s3cret@${index.host}/simple`);
    const project = makeProject({ "requirements.txt": pinned("lib==1.0", any("lib")) });
    const storeRoot = temporaryFolder();
    const bench = makeBench({ storeRoot });
    for (const round of ["cold", "warm"]) {
      const [distribution] = (await bench.resolve(project)).distributions;
      expect(distribution?.url, round).toBe(`http://me:s3cret@${index.host}/files/${any("lib")}`);
    }
    const stored = fs
      .readdirSync(storeRoot, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile());
    expect(stored.length).toBeGreaterThan(1);
    for (const entry of stored)
      expect(fs.readFileSync(path.join(entry.parentPath, entry.name), "utf8")).not.toContain("s3cret");
    const error = await failure(bench.resolve(makeProject({ "requirements.txt": pinned("absent==1.0", "x") })));
    expect(shown(error) + JSON.stringify(bench.events)).not.toContain("s3cret");
    expect(shown(error)).toContain(index.host);
  });

  it("gives an extra index the first word where no hash says which file is meant", async () => {
    const usual = await serveIndex({ ours: [{ filename: any("ours"), bytes: "a stranger's" }] });
    const ours = await serveIndex({ ours: [any("ours")] });
    const text = `# autogenerated\n-i ${usual.url}\n--extra-index-url ${ours.url}\nours==1.0\n`;
    const { distributions, locked, warnings } = await makeBench().resolve(makeProject({ "requirements.txt": text }));
    expect(distributions).toMatchObject([{ sha256: hashOf(any("ours")) }]);
    expect(locked).toBe(false);
    expect(warnings[0]).toContain("without hashes");
    expect(usual.requests).toEqual([]);
  });

  it("knows local versions: a hash picks one, and without hashes the highest that satisfies the pin", async () => {
    const files = ["2.3.1", "2.3.1+cpu", "2.3.1+cu121", "2.3.2"].map((version) => any("torch", version));
    for (const format of ["html", "json"] as const) {
      const index = await serveIndex({ torch: files }, { format });
      const choose = async (line: string) => {
        const project = makeProject({ "requirements.txt": `# autogenerated\n-i ${index.url}\n${line}` });
        const [distribution] = (await makeBench().resolve(project)).distributions;
        return [distribution?.version, distribution?.filename];
      };
      expect(await choose("torch==2.3.1+cpu\n")).toEqual(["2.3.1+cpu", files[1]]);
      expect(await choose(pinned("torch==2.3.1", files[1]!))).toEqual(["2.3.1+cpu", files[1]]);
      expect(await choose("torch==2.3.1\n")).toEqual(["2.3.1+cu121", files[2]]);
    }
  });

  it("finds the place that each tool's configuration names", async () => {
    const index = await serveIndex({ lib: [any("lib")] });
    const lines = pinned("lib==1.0", any("lib"));
    const check = async (files: Record<string, string>) => {
      const { distributions } = await makeBench().resolve(makeProject({ "requirements.txt": lines, ...files }));
      expect(distributions).toHaveLength(1);
    };
    await check({ "pyproject.toml": `[[tool.uv.index]]\nname = "ours"\nurl = "${index.url}"\ndefault = true\n` });
    await check({
      "pyproject.toml": `[[tool.poetry.source]]\nname = "ours"\nurl = "${index.url}"\npriority = "primary"\n`,
    });
    vi.stubEnv("UV_DEFAULT_INDEX", `ours=${index.url}`);
    await check({});
    vi.stubEnv("UV_DEFAULT_INDEX", undefined);
    const config = path.join(temporaryFolder(), "pip.conf");
    fs.writeFileSync(config, `# ours\n[global]\ntimeout = 10\nindex_url: ${index.url}\n`);
    vi.stubEnv("PIP_CONFIG_FILE", config);
    await check({});
    vi.stubEnv("PIP_CONFIG_FILE", "/dev/null");
    fs.writeFileSync(process.env["UV_CONFIG_FILE"]!, `index-url = "${index.url}"\n`);
    await check({});
  });

  it("looks into folders of links", async () => {
    const project = makeProject({
      "wheels/lib-1.0-py3-none-any.whl": any("lib"),
      "requirements.txt": `--no-index\n--find-links ./wheels\n${pinned("lib==1.0", any("lib"))}`,
    });
    const { distributions } = await makeBench({ offline: true }).resolve(project);
    expect(distributions).toMatchObject([
      { filename: any("lib"), sha256: hashOf(any("lib")), size: any("lib").length },
    ]);
  });
});

describe("the store", () => {
  it("answers the second time without a request, and anew when an input changed", async () => {
    const index = await serveIndex({ lib: [any("lib")], more: [any("more")] });
    const project = makeProject({
      "requirements.txt": "-r base.txt\n",
      "base.txt": `-i ${index.url}\n${pinned("lib==1.0", any("lib"))}`,
    });
    const storeRoot = temporaryFolder();
    const early: string[] = [];
    const onDistribution = ({ name }: { name: string }) => void early.push(name);
    const cold = await makeBench({ storeRoot }).resolve(project, { onDistribution });
    expect(early).toEqual(["lib"]);
    expect(index.requests).toHaveLength(1);
    expect(await makeBench({ storeRoot, offline: true }).resolve(project)).toEqual(cold);
    fs.appendFileSync(path.join(project.root, "base.txt"), pinned("more==1.0", any("more")));
    const { distributions } = await makeBench({ storeRoot }).resolve(project);
    expect(distributions.map(({ name }) => name)).toEqual(["lib", "more"]);
    // What was known of lib is known still.
    expect(index.requests).toEqual(["/simple/lib/", "/simple/more/"]);
    await makeBench({ storeRoot }).resolve(project, { refresh: true });
    expect(index.requests).toHaveLength(4);
  });

  it("notices a variable that a requirements file uses", async () => {
    const [first, second] = [await serveIndex({ lib: [any("lib")] }), await serveIndex({ lib: [any("lib")] })];
    const project = makeProject({
      "requirements.txt": `-i http://\${INDEX_HOST}/simple\n${pinned("lib==1.0", any("lib"))}`,
    });
    const bench = makeBench();
    vi.stubEnv("INDEX_HOST", first.host);
    await bench.resolve(project);
    vi.stubEnv("INDEX_HOST", second.host);
    expect((await bench.resolve(project)).distributions[0]?.url).toContain(second.host);
  });

  it("says what is missing when offline and cold", async () => {
    const project = makeProject({
      "requirements.txt": `-i http://127.0.0.1:9/simple\n${pinned("lib==1.0", any("lib"))}`,
    });
    expect(await failure(makeBench({ offline: true }).resolve(project))).toMatchObject({ code: "SHEAF_OFFLINE" });
  });
});
