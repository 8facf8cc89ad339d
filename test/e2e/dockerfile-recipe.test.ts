/** What is wrong with the recipe that people write by hand, on the Dockerfile and the image of the example. */
import * as fs from "node:fs";
import * as path from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { output, requireOrSkip, tool } from "../lab/lab.ts";
import { build, buildKit } from "./buildkit.ts";
import { base, EngineRoom, exampleDockerfile, exampleGpuDockerfile, inspectImage } from "./dockerfile-example.ts";
import { example } from "./example.ts";
import { temporaryFolder } from "./sheaf.ts";

const dockerfiles = [exampleDockerfile, exampleGpuDockerfile];

describe.each(dockerfiles.map((file) => [path.basename(file), fs.readFileSync(file, "utf8")]))(
  "the example's %s",
  (_, text) => {
    const instructions = instructionsOf(text);

    it("copies nothing but what the context has", () => {
      const sources = instructions.flatMap(contextSources);
      expect(sources).toContain("app");
      for (const source of sources) expect(fs.existsSync(path.join(example, source)), source).toBe(true);
      expect(sources.filter((source) => /^(?:README\.md|tests|docs|\.env|\.)$/.test(source))).toEqual([]);
    });

    it("installs dependencies before the code is there", () => {
      const install = instructions.findIndex((line) => /^RUN .*--require-hashes/s.test(line));
      const code = instructions.findIndex((line) => /^COPY .*\bapp\b/.test(line) && !line.includes("--from="));
      expect(install).toBeGreaterThan(-1);
      expect(code).toBeGreaterThan(install);
    });

    it("installs from the lock, hash-checked, through a cache mount that no layer keeps", () => {
      const installs = instructions.filter((line) => /\brequirements\/(?:api|worker)\.txt\b/.test(line));
      expect(installs.length).toBeGreaterThan(0);
      expect(installs.filter((line) => line.startsWith("RUN "))).toContainEqual(
        expect.stringMatching(/--mount=type=cache.*--require-hashes/s),
      );
    });

    it("installs nothing in place, names no minor of Python but in the argument, and upgrades nothing", () => {
      const rest = text.replace(/^ARG PYTHON_VERSION=.*$/m, "");
      expect(rest).not.toMatch(/(?:^|\s)(?:-e|--editable)\s/m);
      expect(rest.replaceAll(/^\s*#.*$/gm, "")).not.toMatch(/python-?3\.\d+|cpython-?3\d+|cp3\d+/);
      expect(rest).not.toMatch(/--upgrade|apt-get (?:dist-)?upgrade/);
    });

    it("has no package manager's lists, secrets in ARG or ENV, nor sudo in it", () => {
      expect(text).not.toMatch(/^(?:ARG|ENV) .*(?:TOKEN|PASSWORD|SECRET|INDEX_URL)/m);
      expect(text).not.toMatch(/\bsudo\b/);
      for (const line of instructions.filter((each) => each.includes("apt-get install"))) {
        expect(line).toContain("--no-install-recommends");
        expect(line).toMatch(/--mount=type=cache,[^ ]*target=\/var\/lib\/apt|rm -rf \/var\/lib\/apt\/lists/);
      }
    });

    it("is short enough to read", () => {
      expect(text.split("\n").length).toBeLessThan(120);
      expect(text.split("\n").filter((line) => line.length > 160)).toEqual([]);
    });

    const hadolint = tool("hadolint");
    it.skipIf(!requireOrSkip("hadolint", hadolint))(
      "has nothing that hadolint objects to (skipped without)",
      async () => {
        const file = path.join(temporaryFolder(), "Dockerfile");
        fs.writeFileSync(file, text);
        expect(await output(hadolint ?? "", ["--no-color", file])).toBe("");
      },
    );
  },
);

const client = await buildKit(base);
const buildx = tool("docker-buildx");

it.skipIf(!client || !requireOrSkip("docker-buildx", buildx))(
  "has nothing that docker build --check objects to (skipped without Docker and buildx)",
  async () => {
    for (const file of dockerfiles) {
      const words = ["build", "--check", "--progress=plain", "-f", file, example];
      expect(await output("sh", ["-c", '"$0" "$@" 2>&1', buildx ?? "", ...words])).toContain("no warnings found");
    }
  },
);

describe.skipIf(!client)("the image of the example's Dockerfile (skipped without Docker)", () => {
  const room = new EngineRoom(client ?? "");
  const tag = room.tag("api");
  beforeAll(() => build(room.client, room.context("api"), { tag }), 300_000);

  const python = (program: string, ...options: string[]) => room.runOnce(...options, tag, "python", "-c", program);

  it("imports the app from anywhere, not only where the server starts", async () => {
    expect(await python("import app.main; print(app.main.__file__)", "-w", "/")).toMatch(/\/app\/main\.py$/);
  });

  it("has the project's metadata, and files behind it", async () => {
    const program = `
import importlib.metadata as m
d = m.distribution("demeterai")
print(d.version, bool(d.read_text("direct_url.json") and "editable" in d.read_text("direct_url.json")))`;
    expect(await python(program)).toBe("0.1.0 False");
  });

  it("has console scripts on PATH whose interpreter is there", async () => {
    for (const script of ["uvicorn", "celery", "alembic"])
      expect(await room.runOnce(tag, script, "--version")).toMatch(/\d+\.\d+/);
    const program = `
import os, shutil
folder = os.path.dirname(shutil.which("uvicorn"))
for name in sorted(os.listdir(folder)):
    if name == "__pycache__": continue
    with open(os.path.join(folder, name), "rb") as file:
        line = file.readline()
    if line.startswith(b"#!/") and not os.path.exists(line[2:].split()[0].decode()): print(name, line)`;
    expect(await python(program)).toBe("");
  });

  it("has every shared library that its wheels link to", async () => {
    const program = `
import os, subprocess, sys
for root in {p for p in sys.path if p.endswith("site-packages")}:
    for folder, _, names in os.walk(root):
        # Wheels' private libraries find one another through whoever loads them.
        if folder.endswith(".libs"): continue
        for name in names:
            if ".so" not in name: continue
            out = subprocess.run(["ldd", os.path.join(folder, name)], capture_output=True, text=True).stdout
            for line in out.splitlines():
                if "not found" in line: print(name, line.strip())`;
    expect(await python(program)).toBe("");
  });

  it("ships no installer beside the dependencies, and no second copy of the base's", async () => {
    const program = `
import importlib.metadata as m
print(*sorted({d.name.lower() for d in m.distributions()} & {"pip", "uv", "setuptools", "wheel", "hatchling", "build", "virtualenv"}))`;
    expect(await python(program)).toBe("");
  });

  it("keeps the project's code where secret scanners look", async () => {
    // Trivy's rules pass over /usr/local/lib/pythonX and .dist-info.
    const place = await python("import app; print(app.__path__[0])");
    expect(place).not.toMatch(/^\/usr\/(?:local\/)?lib\/python|dist-info/);
  });

  it("has no bytecode that its sources disagree with, and no cache of an installer", async () => {
    const program = `
import os, struct, sys
for folder, _, names in os.walk("/"):
    if folder.startswith(("/proc", "/sys")): continue
    if folder.endswith((".cache/pip", ".cache/uv")) and names: print(folder)
    for name in names:
        if not name.endswith(".pyc") or "__pycache__" not in folder: continue
        with open(os.path.join(folder, name), "rb") as file: head = file.read(16)
        flags, mtime, size = struct.unpack("<III", head[4:16])
        source = os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py")
        if flags or not os.path.exists(source): continue
        stat = os.stat(source)
        if (int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF) != (mtime, size): print("stale", source)`;
    expect(await room.runOnce("-u", "0", tag, "python", "-c", program)).toBe("");
  });

  it("has labels of OCI, an entrypoint in exec form, and a stop signal that tini passes on", async () => {
    const { Config } = await inspectImage(room, tag);
    expect(Config.Labels).toMatchObject({
      "org.opencontainers.image.title": "demeterai-api",
      "org.opencontainers.image.version": "0.1.0",
    });
    expect(Config.Entrypoint?.[0]).toMatch(/tini$/);
    expect(Config.Cmd?.[0]).toBe("uvicorn");
    expect(Config.ExposedPorts).toHaveProperty("8000/tcp");
  });
});

/** Instructions, each in one string with its continuation lines, without comments. */
function instructionsOf(text: string): string[] {
  const lines = text.split("\n").filter((line) => !/^\s*(?:#|$)/.test(line));
  return lines
    .join("\n")
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .map((line) => line.replaceAll(/\s+/g, " ").trim());
}

/** Paths of the context that a COPY or a bind mount names. */
function contextSources(instruction: string): string[] {
  const mounts = [...instruction.matchAll(/--mount=type=bind,(\S+)/g)]
    .map(([, options = ""]) => options)
    .filter((options) => !/(?:^|,)from=/.test(options))
    .flatMap((options) => /(?:^|,)(?:source|src)=([^,]+)/.exec(options)?.[1] ?? ".");
  if (!/^(?:COPY|ADD) /.test(instruction) || / --from=/.test(instruction)) return mounts.map(withoutSlash);
  const words = instruction
    .split(" ")
    .slice(1)
    .filter((word) => !word.startsWith("--"));
  return [...mounts, ...words.slice(0, -1)].map(withoutSlash);
}

function withoutSlash(name: string): string {
  return name.replace(/^\.\//, "").replace(/\/$/, "");
}
