import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { beforeEach, describe, expect, it, vi } from "vitest";

import { discoverDefaultIndex } from "../../src/resolve/default-index.ts";
import { uvEnvironment, uvPlatform } from "../../src/resolve/uv.ts";
import { failure, hashOf, makeBench, makeProject, serveIndex, shown, target, temporaryFolder } from "./support.ts";

const wheel = "lib-1.0-py3-none-any.whl";

/** A stand-in for uv on PATH that notes how it was called and answers as told. */
function fakeUv(answer: { pylock?: string; annotated?: string; stderr?: string; failWheelsOnly?: boolean }): {
  calls: () => string[];
} {
  const folder = temporaryFolder();
  const log = path.join(folder, "calls");
  fs.writeFileSync(path.join(folder, "pylock"), answer.pylock ?? "");
  fs.writeFileSync(path.join(folder, "annotated"), answer.annotated ?? "");
  fs.writeFileSync(path.join(folder, "stderr"), answer.stderr ?? "");
  const script = `#!/bin/sh
if [ "$1" = --version ]; then echo "uv 9.8.7 (test)"; exit 0; fi
echo "$* index=$UV_DEFAULT_INDEX" >> '${log}'
${answer.stderr ? `cat '${folder}/stderr' >&2; exit 1` : ""}
${answer.failWheelsOnly ? 'case "$*" in *only-binary*) echo "no wheels" >&2; exit 1;; esac' : ""}
case "$*" in *pylock*) cat '${folder}/pylock';; *) cat '${folder}/annotated';; esac
`;
  fs.writeFileSync(path.join(folder, "uv"), script, { mode: 0o755 });
  vi.stubEnv("PATH", `${folder}:/usr/bin:/bin`);
  return { calls: () => (fs.existsSync(log) ? fs.readFileSync(log, "utf8").trim().split("\n") : []) };
}

const pylock = `lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "lib"
version = "1.0"
wheels = [{ url = "https://example.test/${wheel}", size = 5, hashes = { sha256 = "${hashOf(wheel)}" } }]
`;
const pyproject =
  '[project]\nname = "demo"\nversion = "1"\ndependencies = ["lib"]\n[project.optional-dependencies]\nml = ["lib"]\n';

beforeEach(() => {
  vi.stubEnv("PIP_CONFIG_FILE", "/dev/null");
  vi.stubEnv("PIP_FIND_LINKS", undefined);
  return () => vi.unstubAllEnvs();
});

describe("resolving with uv", () => {
  it("asks for the target, not the host, keeps the answer, and says that nothing is locked", async () => {
    const { calls } = fakeUv({ pylock, annotated: "lib==1.0\n    # via demo (pyproject.toml)\n" });
    vi.stubEnv("PIP_INDEX_URL", "https://me:s3cret@example.test/simple");
    const storeRoot = temporaryFolder();
    const project = makeProject({ "pyproject.toml": pyproject });
    const arm = {
      ...target,
      platform: { os: "linux", architecture: "arm64" } as const,
      glibc: [2, 30] as [number, number],
    };
    const resolution = await makeBench({ storeRoot }).resolve(project, { target: arm, extras: ["ml"] });
    expect(resolution).toMatchObject({ source: "resolved by uv 9.8.7", locked: false });
    expect(resolution.distributions).toMatchObject([{ name: "lib", filename: wheel, requiredBy: ["demo"], size: 5 }]);
    expect(resolution.warnings[0]).toContain("sheaf lock");
    const [first = ""] = calls();
    expect(first).toContain("--python-version 3.12.1 --python-platform aarch64-manylinux_2_28");
    expect(first).toContain("--extra ml");
    expect(first).toContain("--only-binary :all:");
    // Credentials travel in the environment, never as an argument.
    expect(first).toMatch(/^[^@]*index=https:\/\/me:s3cret@example\.test\/simple$/);
    const count = calls().length;
    await makeBench({ storeRoot, offline: true }).resolve(project, { target: arm, extras: ["ml"] });
    fs.appendFileSync(path.join(project.root, "pyproject.toml"), "\n");
    expect(calls()).toHaveLength(count);
    await makeBench({ storeRoot }).resolve(project, { target: arm, extras: ["ml"] });
    expect(calls().length).toBeGreaterThan(count);
  });

  it("lets sdists in only where wheels don't suffice, and says so", async () => {
    const { calls } = fakeUv({ pylock, failWheelsOnly: true });
    const { warnings } = await makeBench().resolve(makeProject({ "pyproject.toml": pyproject }));
    expect(calls().map((call) => call.includes("--only-binary"))).toEqual([true, false, false]);
    expect(warnings[0]).toContain("uv may have run the build of an sdist");
    const error = await failure(makeBench().resolve(makeProject({ "pyproject.toml": pyproject }), { noBuild: true }));
    expect(error.code).toBe("SHEAF_UV");
  });

  it("shows uv's own explanation without credentials", async () => {
    const stderr =
      "  × No solution found when resolving dependencies:\n  ╰─▶ Because lib is not at https://me:s3cret@example.test/simple …\n";
    fakeUv({ stderr });
    const error = await failure(makeBench().resolve(makeProject({ "requirements.txt": "lib>=99\n" })));
    expect(error.code).toBe("SHEAF_UV");
    expect(shown(error)).toContain("uv says: Because lib is not at https://example.test/simple");
    expect(shown(error)).not.toContain("s3cret");
  });

  it("says what to do offline, and without uv and pip", async () => {
    const project = makeProject({ "pyproject.toml": pyproject });
    expect(await failure(makeBench({ offline: true }).resolve(project))).toMatchObject({ code: "SHEAF_OFFLINE" });
    vi.stubEnv("PATH", temporaryFolder());
    const error = await failure(makeBench().resolve(project));
    expect(error.code).toBe("SHEAF_NO_UV");
    expect(shown(error)).toContain("pipx install uv");
  });

  it("gives uv what pip is configured with, and a platform that uv knows", () => {
    const settings = {
      default: "https://example.test/a",
      extra: ["https://example.test/b"],
      named: {},
      findLinks: ["/w"],
      noIndex: false,
    };
    expect(uvEnvironment(settings, { PIP_CERT: "/ca.pem" })).toEqual({
      NO_COLOR: "1",
      UV_DEFAULT_INDEX: "https://example.test/a",
      UV_INDEX: "https://example.test/b",
      UV_FIND_LINKS: "/w",
      SSL_CERT_FILE: "/ca.pem",
    });
    expect(
      [
        [2, 36],
        [2, 30],
        [2, 50],
        [2, 17],
      ].map((glibc) => uvPlatform({ ...target, glibc: glibc as [number, number] })),
    ).toEqual(["x86_64-manylinux_2_36", "x86_64-manylinux_2_28", "x86_64-manylinux_2_40", "x86_64-manylinux_2_17"]);
  });
});

describe("the index that nothing names", () => {
  const tool = (folder: string, name: string, script: string) =>
    fs.writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

  it("is what pip says, else what uv says, asked once", async () => {
    const folder = temporaryFolder();
    vi.stubEnv("PATH", `${folder}:/usr/bin:/bin`);
    tool(folder, "python3", "exit 1");
    tool(folder, "python", "exit 1");
    tool(folder, "uv", "exit 1");
    const { store } = makeBench().services;
    await expect(discoverDefaultIndex(store)).rejects.toMatchObject({ code: "SHEAF_NO_INDEX" });
    tool(folder, "uv", "echo '--index-url https://example.test/uv'");
    expect(await discoverDefaultIndex(makeBench().services.store)).toBe("https://example.test/uv");
    tool(folder, "python3", "echo https://example.test/pip");
    expect(await discoverDefaultIndex(store)).toBe("https://example.test/pip");
    tool(folder, "python3", "echo https://example.test/other");
    expect(await discoverDefaultIndex(store)).toBe("https://example.test/pip");
  });
});

function hasUv(): boolean {
  try {
    execFileSync("uv", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasUv())("the real uv (skipped where uv is not on PATH)", () => {
  it("explains what can't be satisfied", async () => {
    const index = await serveIndex({ lib: [wheel] });
    vi.stubEnv("UV_DEFAULT_INDEX", index.url);
    vi.stubEnv("UV_NO_CACHE", "1");
    const error = await failure(makeBench().resolve(makeProject({ "requirements.txt": "lib>=2\n" })));
    expect(error.code).toBe("SHEAF_UV");
    expect(shown(error)).toMatch(/lib/);
  });
});
