import * as fs from "node:fs";
import * as path from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { SheafError } from "../../src/errors.ts";
import type { SheafEvent } from "../../src/events.ts";
import { chooseInterpreter, type InterpreterServices } from "../../src/interpreter/choose.ts";
import type { InterpreterRequest } from "../../src/interpreter/request.ts";
import { emptyLab, fakeInstallation, matches, type FakeOptions, type Lab } from "./installations.ts";

let lab: Lab;
let events: SheafEvent[];
beforeEach(() => {
  lab = emptyLab();
  events = [];
});
afterEach(() => lab.dispose());

function choose(request: Partial<InterpreterRequest> = {}, services: Partial<InterpreterServices> = {}) {
  return chooseInterpreter(
    { source: ".python-version", platform: { os: "linux", architecture: "amd64" }, offline: true, ...request },
    {
      store: lab.store,
      emit: (event) => events.push(event),
      specifierMatches: matches,
      machine: lab.machine,
      ...services,
    },
  );
}

function uv(name: string, options: FakeOptions = {}): string {
  return fakeInstallation(path.join(lab.uvFolder, name), options);
}

function pyenv(version: string, options: FakeOptions = {}): string {
  return fakeInstallation(path.join(lab.pyenvFolder, version), { version, ...options });
}

describe("the order of choice", () => {
  it("takes what uv manages before what is installed, and says so", async () => {
    pyenv("3.12.4");
    uv("cpython-3.12.4-linux-x86_64-gnu", { version: "3.12.4" });
    const choice = await choose({ wanted: "3.12" });
    expect(choice).toMatchObject({ kind: "uv", version: "3.12.4", minor: "3.12" });
    expect(choice.reason).toContain("managed by uv on this machine: ~/.local/share/uv/python/cpython-3.12.4");
    expect(choice.reason).toContain(".python-version asks for 3.12");
    expect(choice.tried).toContainEqual({
      what: "Python 3.12.4 (~/.pyenv/versions/3.12.4)",
      whyNot: "is the same release, found later",
    });
  });

  it("looks where UV_PYTHON_INSTALL_DIR, XDG_DATA_HOME and PYENV_ROOT say", async () => {
    const elsewhere = path.join(lab.root, "elsewhere");
    fakeInstallation(path.join(elsewhere, "uv", "cpython-3.11.9-linux-x86_64-gnu"), { version: "3.11.9" });
    fakeInstallation(path.join(elsewhere, "data", "uv", "python", "cpython-3.12.9-linux-x86_64-gnu"), {
      version: "3.12.9",
    });
    fakeInstallation(path.join(elsewhere, "pyenv", "versions", "3.13.1"), { version: "3.13.1" });
    Object.assign(lab.machine.environment, {
      UV_PYTHON_INSTALL_DIR: path.join(elsewhere, "uv"),
      XDG_DATA_HOME: path.join(elsewhere, "data"),
      PYENV_ROOT: path.join(elsewhere, "pyenv"),
    });
    expect((await choose({ wanted: "3.11" })).version).toBe("3.11.9");
    expect((await choose({ wanted: "3.12" })).version).toBe("3.12.9");
    expect((await choose({ wanted: "3.13" })).version).toBe("3.13.1");
  });

  it("finds /usr/local, collections and PATH, each installation once", async () => {
    const local = fakeInstallation(path.join(lab.root, "usr-local"), { version: "3.10.2" });
    lab.machine.systemPrefixes = [local];
    lab.machine.systemCollections = [path.join(lab.root, "opt-python")];
    fakeInstallation(path.join(lab.root, "opt-python", "cp311"), { version: "3.11.3" });
    const onPath = fakeInstallation(path.join(lab.root, "somewhere"), { version: "3.12.7" });
    lab.machine.environment["PATH"] = `${path.join(local, "bin")}:${path.join(onPath, "bin")}`;
    expect((await choose({ wanted: "3.10" })).prefix).toBe(local);
    expect((await choose({ wanted: "3.11" })).version).toBe("3.11.3");
    expect(await choose({ wanted: "3.12" })).toMatchObject({ kind: "host", prefix: onPath });
  });

  it("follows links to one installation instead of counting it twice", async () => {
    pyenv("3.12.4");
    fs.symlinkSync("3.12.4", path.join(lab.pyenvFolder, "3.12"));
    const choice = await choose({ wanted: "3.12" });
    expect(choice.tried.filter(({ what }) => what.includes("3.12"))).toEqual([]);
  });

  it("takes an interpreter of another architecture from uv", async () => {
    uv("cpython-3.12.4-linux-aarch64-gnu", { version: "3.12.4", machine: "aarch64" });
    pyenv("3.12.4");
    const choice = await choose({ wanted: "3.12", platform: { os: "linux", architecture: "arm64" } });
    expect(choice).toMatchObject({ kind: "uv", version: "3.12.4" });
    expect(choice.tried).toContainEqual({ what: "Python 3.12.4 (~/.pyenv/versions/3.12.4)", whyNot: "is for x86_64" });
  });
});

describe("the version", () => {
  it("prefers an exact patch release to the order", async () => {
    uv("cpython-3.12.9-linux-x86_64-gnu", { version: "3.12.9" });
    pyenv("3.12.4");
    expect(await choose({ wanted: "3.12.4" })).toMatchObject({ kind: "host", version: "3.12.4" });
    expect(events).toEqual([]);
  });

  it("takes the nearest patch of the minor with a warning that says how to have the exact one", async () => {
    pyenv("3.12.1");
    pyenv("3.12.7");
    pyenv("3.11.4");
    expect((await choose({ wanted: "3.12.5" })).version).toBe("3.12.7");
    expect(events).toMatchObject([{ type: "warning", code: "SHEAF_PYTHON_PATCH", hint: "uv python install 3.12.5" }]);
  });

  it.each([
    [["3.9.1", "3.11.1", "3.12.1", "3.13.1", "3.14.1"], ">=3.9", "3.13.1"],
    [["3.9.1", "3.11.1", "3.12.1", "3.14.1"], ">=3.9", "3.12.1"],
    [["3.11.1", "3.14.1", "3.10.1"], ">=3.9", "3.11.1"],
    [["3.10.1", "3.14.1", "3.15.0"], ">=3.9", "3.14.1"],
    [["3.12.1", "3.12.9", "3.13.0"], ">=3.9,<3.13", "3.12.9"],
    [["3.13.1", "3.14.1"], ">=3.14", "3.14.1"],
  ])("of %j for requires-python %s takes %s", async (versions, requires, expected) => {
    for (const version of versions) pyenv(version);
    expect((await choose({ requires, source: "pyproject.toml" })).version).toBe(expected);
  });

  it("takes a pre-release only when it is asked for by name", async () => {
    pyenv("3.14.0rc1");
    pyenv("3.12.1");
    expect((await choose({})).version).toBe("3.12.1");
    expect((await choose({ wanted: "3.14.0rc1" })).version).toBe("3.14.0rc1");
    await expect(choose({ wanted: "3.14" })).rejects.toMatchObject({ code: "SHEAF_NO_PYTHON" });
  });

  it("refuses a wanted version outside requires-python", async () => {
    pyenv("3.12.1");
    await expect(choose({ wanted: "3.12", requires: ">=3.13" })).rejects.toMatchObject({
      code: "SHEAF_PYTHON_CONFLICT",
      message: expect.stringContaining(".python-version asks for Python 3.12"),
    });
  });
});

describe("what isn't taken", () => {
  it.each([
    ["a free-threaded build", { flags: "t", version: "3.13.1" }, "free-threaded"],
    ["a debug build", { flags: "d" }, "is a debug build"],
    ["a build for musl", { libc: "musl" as const }, "built for musl"],
    ["a build without ssl", { extensions: ["_ctypes", "zlib"] }, "was built without ssl"],
    ["an old minor", { version: "3.8.18" }, "older than Python 3.9"],
  ])("%s", async (_, options, whyNot) => {
    fakeInstallation(path.join(lab.pyenvFolder, "odd"), options);
    await expect(choose({})).rejects.toMatchObject({
      details: expect.arrayContaining([["not taken", expect.stringContaining(whyNot)]]),
    });
  });

  it.each([
    ["conda", (prefix: string) => fs.mkdirSync(path.join(prefix, "conda-meta"))],
    ["virtual environment", (prefix: string) => fs.writeFileSync(path.join(prefix, "pyvenv.cfg"), "home = /usr/bin")],
    ["elsewhere", (prefix: string) => linkExecutable(prefix)],
    [
      "not a Linux program",
      (prefix: string) => fs.writeFileSync(path.join(prefix, "bin", "python3.12"), "#!/bin/sh\n"),
    ],
  ])("%s", async (whyNot, spoil) => {
    spoil(pyenv("3.12.4"));
    await expect(choose({})).rejects.toMatchObject({
      details: expect.arrayContaining([["not taken", expect.stringContaining(whyNot)]]),
    });
  });

  it("uv's builds for newer processors, PyPy and GraalPy", async () => {
    uv("cpython-3.12.4-linux-x86_64_v3-gnu", { version: "3.12.4" });
    uv("pypy-3.10.14-linux-x86_64-gnu", { version: "3.10.14" });
    await expect(choose({})).rejects.toMatchObject({
      details: expect.arrayContaining([
        ["not taken", expect.stringContaining("newer processor")],
        ["not taken", expect.stringContaining("is not CPython")],
      ]),
    });
  });

  it("pyenv's shims, which are scripts", async () => {
    const shims = path.join(lab.root, "shims");
    fs.mkdirSync(shims);
    fs.writeFileSync(path.join(shims, "python3.12"), "#!/bin/sh\n", { mode: 0o755 });
    lab.machine.environment["PATH"] = shims;
    await expect(choose({})).rejects.toMatchObject({ code: "SHEAF_NO_PYTHON" });
  });
});

function linkExecutable(prefix: string): void {
  fs.rmSync(path.join(prefix, "bin", "python3.12"));
  fs.symlinkSync(process.execPath, path.join(prefix, "bin", "python3.12"));
}

/** What an archive with two suites offers. */
async function debian(): Promise<{ version: string; suite: string }[]> {
  return [
    { version: "3.11.2", suite: "bookworm" },
    { version: "3.13.5", suite: "trixie" },
  ];
}

it("names what was refused without the home directory", async () => {
  pyenv("3.8.18");
  const { tried } = await choose({}, { debian });
  expect(tried).toContainEqual({ what: "~/.pyenv/versions/3.8.18/bin/python3.8", whyNot: "is older than Python 3.9" });
});

describe("Debian's own", () => {
  it("is taken when its version fits, from the base's suite first", async () => {
    expect(await choose({}, { debian })).toMatchObject({ kind: "debian", version: "3.11.2", suite: "bookworm" });
    expect(await choose({ wanted: "3.13" }, { debian })).toMatchObject({
      kind: "debian",
      minor: "3.13",
      suite: "trixie",
    });
    expect((await choose({ requires: ">=3.12" }, { debian })).suite).toBe("trixie");
  });

  it("comes after what is on this machine, and the archive isn't asked for nothing", async () => {
    pyenv("3.12.1");
    const asked = vi.fn(debian);
    expect((await choose({}, { debian: asked })).kind).toBe("host");
    expect(asked).not.toHaveBeenCalled();
  });
});

describe("with none", () => {
  it("lists what was asked for, where it looked, what came close and how to get one", async () => {
    pyenv("3.11.7");
    const error: SheafError = await choose({ wanted: "3.12" }).then(
      () => expect.unreachable(),
      (error: SheafError) => error,
    );
    expect(error.code).toBe("SHEAF_NO_PYTHON");
    expect(error.message).toBe("no Python 3.12 for linux/amd64 was found");
    expect(error.details).toContainEqual(["asked for by", ".python-version"]);
    expect(error.details.find(([label]) => label === "looked in")?.[1]).toContain("~/.pyenv/versions (1)");
    expect(error.details).toContainEqual(["not taken", "Python 3.11.7 (~/.pyenv/versions/3.11.7) isn't Python 3.12"]);
    expect(error.hints).toEqual([
      "install uv, then: uv python install 3.12",
      "or pyenv install 3.12",
      "or take it from an image: --base python:3.12-slim",
      "or build with one that is here (3.11): --python VERSION",
    ]);
  });
});

/** A program named uv on PATH. */
function fakeUv(script: string): void {
  const bin = path.join(lab.root, `bin-${Math.random().toString(36).slice(2)}`);
  fs.mkdirSync(bin);
  fs.writeFileSync(path.join(bin, "uv"), `#!/bin/sh\necho "$@" >> ${lab.root}/calls\n${script}\n`, { mode: 0o755 });
  lab.machine.environment["PATH"] = bin;
}
/** What uv was asked for, a call a line. */
function calls(): string[] {
  const file = path.join(lab.root, "calls");
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
}

describe("a download by uv", () => {
  it("puts it into the store, where the next build finds it without asking", async () => {
    const ready = fakeInstallation(path.join(lab.root, "ready"), { version: "3.12.8", machine: "aarch64" });
    fakeUv(`cp -r ${ready} "$UV_PYTHON_INSTALL_DIR/cpython-3.12.8-linux-aarch64-gnu"`);
    const request = { wanted: "3.12", offline: false, platform: { os: "linux", architecture: "arm64" } as const };
    const choice = await choose(request);
    expect(choice).toMatchObject({ kind: "uv", version: "3.12.8" });
    expect(choice.reason).toBe("downloaded by uv; .python-version asks for 3.12");
    expect(calls()).toEqual([
      `python install cpython-3.12-linux-aarch64-gnu --install-dir ${path.join(lab.store.root, "python")}`,
    ]);
    expect((await choose({ ...request, offline: true })).version).toBe("3.12.8");
    expect(calls()).toHaveLength(1);
  });

  it("chooses the preferred minor inside requires-python", async () => {
    fakeUv("exit 1");
    await choose({ requires: ">=3.10,<3.13", offline: false }).catch(() => {});
    expect(calls()[0]).toContain("cpython-3.12-linux-x86_64-gnu");
  });

  it("isn't tried offline", async () => {
    fakeUv("exit 0");
    await expect(choose({ offline: true })).rejects.toMatchObject({
      details: expect.arrayContaining([["not taken", expect.stringContaining("offline")]]),
    });
    expect(calls()).toEqual([]);
  });

  it("remembers a failure and gives uv's own words", async () => {
    fakeUv(`echo "error: Failed to download" >&2; echo "  Caused by: no route to host" >&2; exit 2`);
    const expected = { details: expect.arrayContaining([["not taken", expect.stringContaining("no route to host")]]) };
    await expect(choose({ offline: false })).rejects.toMatchObject(expected);
    await expect(choose({ offline: false })).rejects.toMatchObject(expected);
    expect(calls()).toHaveLength(1);
  });

  it("gives up when nothing arrives", async () => {
    fakeUv("exec sleep 30");
    const started = Date.now();
    await expect(choose({ offline: false }, { stallMs: 300 })).rejects.toMatchObject({
      details: expect.arrayContaining([["not taken", expect.stringContaining("nothing arrived within 0.3 s")]]),
    });
    expect(Date.now() - started).toBeLessThan(5000);
  });
});
