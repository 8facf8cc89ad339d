import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { resolveContract } from "../../src/contract/contract.ts";
import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { interestOf } from "../../src/contract/interest.ts";
import { verifyImage } from "../../src/contract/verify-image.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import { has } from "../archive/oracle.ts";
import { imageOf, layerOf } from "../oci/images.ts";
import { failing } from "./image-dsl.ts";

const repository = path.join(import.meta.dirname, "..", "..");
const searchPath = "PATH=/usr/local/bin:/usr/bin:/bin";
const isAble = process.getuid?.() === 0 && has("debootstrap", "--version");

/** The verdict on a folder as the one layer of an image, with no contract but the defaults. */
async function alarmsIn(root: string, config: RuntimeConfig): Promise<string[]> {
  const tar = execFileSync("tar", ["-C", root, "--numeric-owner", "-c", "."], { maxBuffer: 2 ** 31 });
  const image = imageOf([layerOf(tar)], { config: { os: "linux", architecture: "amd64", config } });
  const contract = resolveContract({ name: "debian", runtime: config });
  const { signal } = new AbortController();
  const facts = await readImageFacts(image, { interest: interestOf(contract, config), signal });
  const verification = await verifyImage({ name: "debian", image, facts, contract, signal, notRunning: "--static" });
  return failing(verification).map((id) => {
    const found = verification.verdict.checks.find((check) => check.id === id);
    return `${id}: ${found?.measured} ${found?.evidence?.join("; ")}`;
  });
}

describe.skipIf(!isAble)("images of Debian's own packages raise no alarm (needs root and debootstrap)", () => {
  let root: string;

  beforeAll(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-debian-"));
    // Everybody may look into the root of a system.
    fs.chmodSync(root, 0o755);
    execFileSync("bash", ["-c", 'source .ci/debian-root.sh && make_debian_root "$1"', "bash", root], {
      cwd: repository,
      stdio: "pipe",
    });
  }, 300_000);

  afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

  const inRoot = (command: string) =>
    execFileSync("chroot", [root, "sh", "-c", command], {
      stdio: "pipe",
      env: {
        ...process.env,
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        DEBIAN_FRONTEND: "noninteractive",
      },
    });

  it("Debian alone", async () => {
    expect(await alarmsIn(root, { Cmd: ["bash"], Env: [searchPath] })).toEqual([]);
  }, 120_000);

  it("with its Python, its pip, and FastAPI by pip", async () => {
    fs.copyFileSync("/etc/resolv.conf", path.join(root, "etc", "resolv.conf"));
    inRoot(
      "apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-pip python3-venv && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*.log",
    );
    expect(await alarmsIn(root, { Cmd: ["python3"], Env: [searchPath] })).toEqual([]);
    inRoot(
      "useradd --uid 10001 --create-home appuser && pip3 install --quiet --no-cache-dir --break-system-packages fastapi uvicorn",
    );
    fs.writeFileSync(path.join(root, "srv", "main.py"), "from fastapi import FastAPI\n\napp = FastAPI()\n");
    const config: RuntimeConfig = {
      User: "10001:10001",
      WorkingDir: "/srv",
      Env: [searchPath],
      Cmd: ["uvicorn", "main:app", "--host", "0.0.0.0"],
      Healthcheck: {
        Test: ["CMD", "python3", "-c", "import urllib.request as u; u.urlopen('http://localhost:8000/health')"],
      },
    };
    expect(await alarmsIn(root, config)).toEqual([]);
    // The same in a virtual environment.
    inRoot(
      "python3 -m venv /opt/app && /opt/app/bin/pip install --quiet --no-cache-dir fastapi uvicorn && rm -rf /usr/local/lib/python3*/dist-packages/* /usr/local/bin/*",
    );
    expect(await alarmsIn(root, { ...config, Env: ["PATH=/opt/app/bin:/usr/bin:/bin"] })).toEqual([]);
  }, 400_000);
});

/** Systems as they are published. */
const suites = ["bullseye", "bookworm", "trixie"];

describe.skipIf(!isAble)("systems that debootstrap makes raise no alarm (needs root and debootstrap)", () => {
  it.each(suites)(
    "%s",
    async (suite) => {
      const root = bootstrapped(suite);
      onTestFinished(() => fs.rmSync(root, { recursive: true, force: true }));
      expect(await alarmsIn(root, { Cmd: ["bash"], Env: [searchPath] })).toEqual([]);
    },
    600_000,
  );
});

/** A folder with the system, of which an archive is kept among the tools: making one takes a minute or more. */
function bootstrapped(suite: string): string {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-system-"));
  fs.chmodSync(root, 0o755);
  const archive = path.join(repository, ".tools", `system-${suite}-minbase-1.tar`);
  if (fs.existsSync(archive)) {
    execFileSync("tar", ["-C", root, "--numeric-owner", "-xf", archive]);
    return root;
  }
  const uri = execFileSync("bash", ["-c", firstSource], { encoding: "utf8" }).trim();
  execFileSync("debootstrap", ["--variant=minbase", suite, root, ...(uri === "" ? [] : [uri])], { stdio: "pipe" });
  // As whoever publishes such systems does it.
  const leftovers = "rm -rf var/cache/apt/*.bin var/cache/apt/archives/*.deb var/lib/apt/lists/* var/log/* dev/*";
  execFileSync("bash", ["-c", leftovers], { cwd: root });
  fs.mkdirSync(path.dirname(archive), { recursive: true });
  execFileSync("tar", ["-C", root, "--numeric-owner", "-cf", `${archive}.${process.pid}`, "."]);
  fs.renameSync(`${archive}.${process.pid}`, archive);
  return root;
}

/** Where apt has this machine's packages from. */
const firstSource =
  "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -ohE '^(deb +(\\[[^]]*\\] +)?|URIs: +)[a-z]+://[^ ]+' | grep -oE '[a-z]+://[^ ]+' | head -1";
