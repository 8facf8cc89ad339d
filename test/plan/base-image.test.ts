import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import type { DebianArchive } from "../../src/debian/archive.ts";
import type { DebPackage } from "../../src/debian/package.ts";
import type { SheafEvent } from "../../src/events.ts";
import { BaseImage } from "../../src/ingest/base/base-image.ts";
import type { InterpreterChoice } from "../../src/interpreter/choose.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { type ChosenBase, openBase } from "../../src/plan/base-image.ts";
import type { ImagePlan } from "../../src/plan/image-plan.ts";
import { closeNative } from "../../src/plan/native.ts";
import { archiveOver, overBase, pythonOver } from "../../src/plan/over-base.ts";
import type { PlanServices } from "../../src/plan/services.ts";
import { serveImage } from "../../src/registry/serve.ts";
import type { Project } from "../../src/project/project.ts";
import { openStore } from "../../src/store/store.ts";
import { tasks } from "../../src/workers/tasks.ts";
import { temporary } from "../archive/oracle.ts";
import { distribution, elf, python, readBase } from "../ingest/base-builder.ts";
import { d, f, imageOf, layerOf, type TarSpec } from "../oci/images.ts";

const platform = { os: "linux", architecture: "amd64" } as const;

function servicesIn(folder: string): PlanServices & { events: SheafEvent[] } {
  const events: SheafEvent[] = [];
  const store = openStore(path.join(folder, "store"));
  const fetcher = {
    download: () => Promise.reject(new Error("nothing is fetched here")),
  } as unknown as PlanServices["fetcher"];
  const emit = (event: SheafEvent) => void events.push(event);
  return { store, fetcher, tasks, emit, offline: true, refresh: false, events };
}

const open = (folder: string, wanted: string, services = servicesIn(folder)) =>
  openBase({ wanted, source: "--base", folder, platform }, services);

describe("--base", () => {
  it("reads an archive once, and again when it is another one", async () => {
    const folder = temporary();
    const services = servicesIn(folder);
    const write = (layers: TarSpec[][], tag: string) =>
      writeDockerArchive(path.join(folder, "base.tar"), imageOf(layers.map((each) => layerOf(each))), [tag]);
    await write([distribution()], "team/base:1");
    const first = await open(folder, "base.tar", services);
    expect(first.image).toMatchObject({ reference: "team/base:1", name: "team/base:1" });
    const read = services.events.length;
    expect(read).toBeGreaterThan(0);
    expect((await open(folder, "base.tar", services)).image.facts).toEqual(first.image.facts);
    expect(services.events).toHaveLength(read);
    expect([first.image.reused, (await open(folder, "base.tar", services)).image.reused]).toEqual([false, true]);
    await write([distribution(), [f("new")]], "team/base:2");
    const second = await open(folder, "base.tar", services);
    expect(second.image.reference).toBe("team/base:2");
    expect(second.image.facts.digest).not.toBe(first.image.facts.digest);
    fs.rmSync(services.store.blobPath(second.image.facts.layers[1]?.digest ?? "sha256:"));
    expect((await open(folder, "base.tar", services)).image.facts).toEqual(second.image.facts);
    expect(services.store.hasBlob(second.image.facts.layers[1]?.digest ?? "sha256:")).toBe(true);
  });

  it("opens an OCI layout, and one of several by its tag", async () => {
    const folder = temporary();
    await writeLayout(path.join(folder, "layout"), imageOf([layerOf(distribution())]), { tag: "one" });
    const plain = await open(folder, "layout");
    expect(plain.image).toMatchObject({ reference: "layout", name: undefined });
    expect((await open(folder, "layout:one")).image.facts.digest).toBe(plain.image.facts.digest);
    await expect(open(folder, "layout:two")).rejects.toMatchObject({ code: "SHEAF_BASE" });
  });

  it.each([
    ["./missing.tar", /check the path/],
    ["Not A Name", /check the path/],
    ["docker-daemon:../containers/json?all=1", /docker images lists/],
    ["containers-storage:--log-level=debug", /podman images lists/],
    ["text", /docker save/],
  ])("tells what to do with %s", async (wanted, hint) => {
    const folder = temporary();
    fs.writeFileSync(path.join(folder, "text"), "no image\n".repeat(200));
    const error = await open(folder, wanted).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "SHEAF_BASE" });
    expect((error as { hints: string[] }).hints.join("\n")).toMatch(hint);
  });

  it("fetches an image of a registry once, by its tag, until it is asked to look anew", async () => {
    const folder = temporary();
    const services = servicesIn(folder);
    const first = imageOf([layerOf(distribution())]);
    const serving = await serveImage(first, { repository: "team/base", tag: "1.0" });
    onTestFinished(() => serving.close());
    const wanted = `${serving.host}/team/base:1.0`;
    await expect(open(folder, wanted, services)).rejects.toMatchObject({ code: "SHEAF_OFFLINE" });
    const online = { ...services, offline: false };
    const opened = await open(folder, wanted, online);
    expect(opened.image).toMatchObject({ reference: wanted, name: wanted, reused: false });
    expect(opened.image.facts.digest).toBe(first.digest);
    expect(opened.image.facts.layers.every(({ parts }) => parts.every((part) => services.store.hasBlob(part)))).toBe(
      true,
    );
    const asked = serving.requests;
    expect((await open(folder, wanted, services)).image.facts).toEqual(opened.image.facts);
    expect(serving.requests, "the second time is offline").toBe(asked);
    expect((await open(folder, wanted, { ...online, refresh: true })).image.reused).toBe(false);
    expect(serving.requests, "asked anew").toBeGreaterThan(asked);
    const pinned = `${serving.host}/team/base@${first.digest}`;
    await open(folder, pinned, online);
    await serving.close();
    expect((await open(folder, pinned, { ...services, refresh: true })).image.facts.digest).toBe(first.digest);
  });

  it("tells what to do when the registry has no such image", async () => {
    const folder = temporary();
    const serving = await serveImage(imageOf([layerOf(distribution())]), { repository: "team/base", tag: "1.0" });
    onTestFinished(() => serving.close());
    const error = await open(folder, `${serving.host}/team/base:2.0`, { ...servicesIn(folder), offline: false }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ code: "SHEAF_BASE" });
    expect(String(error)).toContain("has no 2.0 of team/base");
    expect((error as { hints: string[] }).hints.join("\n")).toMatch(/docker-daemon:127\.0\.0\.1/);
  });

  it("refuses musl, no C library, and another platform", async () => {
    const folder = temporary();
    const write = (entries: TarSpec[]) =>
      writeDockerArchive(path.join(folder, "base.tar"), imageOf([layerOf(entries)]), []);
    await write([d("lib"), elf("lib/ld-musl-x86_64.so.1")]);
    await expect(open(folder, "base.tar")).rejects.toMatchObject({
      code: "SHEAF_BASE_LIBC",
      message: expect.stringMatching(/musl/),
    });
    await write([f("app")]);
    await expect(open(folder, "base.tar")).rejects.toMatchObject({
      code: "SHEAF_BASE_LIBC",
      message: expect.stringMatching(/no C library/),
    });
    const arm64 = { os: "linux", architecture: "arm64" } as const;
    const request = { wanted: "base.tar", source: "--base", folder, platform: arm64 };
    await expect(openBase(request, servicesIn(folder))).rejects.toMatchObject({ code: "SHEAF_BASE" });
  });
});

/** An archive that has packages of these names. */
const archiveWith = (...names: string[]): DebianArchive => ({
  codename: "bookworm",
  version: "12",
  id: "debian",
  signedAt: "",
  resolve: () => [],
  find: (name) => (names.includes(name) ? ({ name } as DebPackage) : undefined),
  whoHas: async () => new Map(),
  fetch: () => Promise.reject(new Error("nothing is fetched here")),
});

async function chosen(
  ...[layers, options]: [layers: TarSpec[][], options?: Parameters<typeof readBase>[2]]
): Promise<ChosenBase> {
  const { image } = await readBase(temporary(), layers, options);
  return { image, source: "--base" };
}

const choice: InterpreterChoice = { kind: "base", version: "3.12.7", minor: "3.12", reason: "", tried: [] };

const settings = {
  env: {
    PATH: { value: "/usr/local/bin:/bin", source: "default" },
    LANG: { value: "C.UTF-8", source: "default" },
    PYTHONPATH: { value: "/app", source: "x" },
  },
  labels: {
    title: { value: "mine", source: "x" },
    "org.opencontainers.image.base.name": { value: "base.tar", source: "plan" },
  },
  entrypoint: { value: ["/usr/bin/tini", "--"], source: "default" },
} as unknown as ImagePlan["config"];

describe("the plan over a base", () => {
  it("takes the base's environment and labels below its own", async () => {
    const base = await chosen([[...distribution(), ...python("3.12.7")]], {
      config: {
        Env: ["PATH=/opt/x:/usr/local/bin:/bin", "LANG=de_DE", "EMPTY=", "A=b=c", "PYTHONPATH=/opt"],
        Labels: { title: "theirs", vendor: "them" },
      },
    });
    const { config } = overBase(base, { archive: archiveWith("tini"), choice });
    const over = config(settings);
    const values = Object.fromEntries(Object.entries(over.env).map(([name, { value }]) => [name, value]));
    expect(values).toEqual({
      A: "b=c",
      EMPTY: "",
      LANG: "C.UTF-8",
      PATH: "/usr/local/bin:/opt/x:/bin",
      PYTHONPATH: "/app:/opt",
    });
    const labels = Object.fromEntries(Object.entries(over.labels).map(([name, { value }]) => [name, value]));
    expect(labels).toEqual({
      title: "mine",
      vendor: "them",
      "org.opencontainers.image.base.digest": base.image.facts.digest,
    });
  });

  it("starts with the base's own tini, Debian's, or none", async () => {
    const own = await chosen([[...distribution(), elf("usr/sbin/tini"), elf("usr/bin/curl")]]);
    const first = overBase(own, { archive: archiveWith("tini"), choice });
    expect(first.config(settings).entrypoint.value).toEqual(["/usr/sbin/tini", "--"]);
    expect(first.request.packages).toEqual([]);
    expect(first.tools).toEqual({ shell: false, client: "curl" });

    const bare = await chosen([[...distribution(), elf("usr/bin/dash"), elf("usr/bin/sh"), elf("usr/bin/grep")]]);
    const added = overBase(bare, { archive: archiveWith("tini", "tzdata"), choice: { ...choice, kind: "host" } });
    expect(added.request.packages).toEqual(["tzdata", "tini"]);
    expect(added.tools).toEqual({ shell: true, client: "python" });
    const none = overBase(bare, { archive: archiveWith(), choice });
    expect(none.config(settings).entrypoint.value).toEqual([]);
    expect(none.notes).toMatchObject([{ message: expect.stringContaining("no tini") }]);
  });

  it("runs as the base's account of that name or number", async () => {
    const tables = f(
      "etc/passwd",
      "root:x:0:0::/:/bin/sh\nappuser:x:1000:1001::/:/bin/sh\nweb:x:10001:10001::/:/bin/sh\n",
    );
    const { user } = overBase(await chosen([distribution(), [tables]]), { archive: archiveWith(), choice });
    expect(user({ name: "appuser", uid: 10001, gid: 10001 }, false)).toEqual({ name: "appuser", uid: 1000, gid: 1001 });
    expect(() => user({ name: "appuser", uid: 5, gid: 5 }, true)).toThrow(/number 1000, not 5/);
    expect(user({ name: "me", uid: 10001, gid: 10001 }, true).name).toBe("web");
    expect(user({ name: "me", uid: 7, gid: 7 }, true)).toEqual({ name: "me", uid: 7, gid: 7 });
    expect(() => user({ name: "root", uid: 10001, gid: 10001 }, false)).toThrow(/root/);
  });

  it("uses the base's Python when it fits", async () => {
    const base = await chosen([[...distribution(), ...python("3.12.7")]]);
    const project = (requires: string, config = {}) =>
      ({
        requiresPython: { value: requires, source: "pyproject.toml:3" },
        pythonVersion: { value: "3.11", source: ".python-version:1" },
        config,
      }) as unknown as Project;
    const ask = (of: Project, flag?: string) =>
      pythonOver(
        base,
        { project: of, platform, archive: archiveWith(), ...(flag === undefined ? {} : { flag }) },
        servicesIn(temporary()),
      );
    const found = await ask(project(">=3.10"));
    expect(found.choice).toMatchObject({ kind: "base", version: "3.12.7", reason: "in the base image base.tar" });
    expect(found.notes).toMatchObject([
      { message: expect.stringContaining("asks for Python 3.11; the base image has 3.12.7") },
    ]);
    await expect(ask(project(">=3.13"))).rejects.toMatchObject({
      code: "SHEAF_BASE_PYTHON",
      message: expect.stringMatching(/pyproject\.toml:3 asks for >=3\.13/),
    });
    await expect(ask(project(">=3.10"), "3.13")).rejects.toMatchObject({ code: "SHEAF_BASE_PYTHON" });
    await expect(ask(project(">=3.10", { python: "3.11" }))).rejects.toMatchObject({ code: "SHEAF_BASE_PYTHON" });
  });

  it("adds packages to a distribution of this machine's only", async () => {
    const base = await chosen([
      [...distribution({ id: "rhel" }), f("var/lib/dpkg/status", "Package: a\nVersion: 1\n")],
    ]);
    const archive = await archiveOver(base, () => Promise.reject(new Error("not asked for")));
    expect(archive.resolve([])).toEqual([]);
    expect(() => archive.resolve(["libgl1"])).toThrow(/libgl1 can't be added to the base base\.tar \(rhel 12\)/);
    expect(overBase(base, { archive, choice }).notes[0]?.message).toContain("rhel 12");
  });
});

describe("libraries over a base", () => {
  it("are found in it, and what it lacked itself is not asked for", async () => {
    const folder = "usr/lib/x86_64-linux-gnu";
    const { image, store } = await readBase(temporary(), [
      [
        ...distribution(),
        elf(`${folder}/liba.so.1`, { soname: "liba.so.1", needed: ["libnever.so.1"] }),
        f("etc/ld.so.conf.d/x.conf", "# ours\n/opt/lib\n"),
        elf("opt/lib/libb.so.1", { soname: "libb.so.1" }),
      ],
    ]);
    const objects = image.files.elf.slice(0, 1).map(({ facts }) => ({
      path: "usr/local/lib/python3.12/site-packages/x.so",
      facts: { ...facts, soname: "x.so", needed: ["liba.so.1", "libb.so.1", "libc.so.6", "libgone.so.1"] },
    }));
    const asked: string[] = [];
    const archive: DebianArchive = {
      ...archiveWith(),
      whoHas: async (sonames) => {
        asked.push(...sonames);
        return new Map();
      },
    };
    const request = {
      archive,
      platform,
      objects,
      links: [],
      wanted: new Map<string, string>(),
      present: [],
      base: image,
    };
    const closed = await closeNative(request, { ignoreScripts: [], mtime: 0 }, { ...servicesIn(temporary()), store });
    expect(image).toBeInstanceOf(BaseImage);
    expect(asked).toEqual(["libgone.so.1"]);
    expect(closed.missing).toEqual([
      { soname: "libgone.so.1", neededBy: ["usr/local/lib/python3.12/site-packages/x.so"] },
    ]);
  });
});
