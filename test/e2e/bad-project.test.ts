import * as fs from "node:fs";
import * as path from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { builtExample } from "./example.ts";
import { framework, projectOn, serveWheels } from "./local-index.ts";
import { refused } from "./refusal.ts";
import { sheaf, temporaryFolder, writeFiles } from "./sheaf.ts";

// Debian's packages and the interpreter are in the shared store from here on.
beforeAll(() => builtExample(), 300_000);

const app = "from fastapi import FastAPI\n\napp = FastAPI()\n";
const sound = () => projectOn(framework());

/** Refusals that need no index: what is wrong shows before anything is asked. */
describe("a project that can't be built says why", () => {
  it("nothing there", async () => {
    const folder = temporaryFolder();
    const { codes, text } = await refused(["build", folder]);
    expect(codes).toEqual(["SHEAF_NO_PROJECT"]);
    expect(text).toContain("holds no Python files");
    expect((await refused(["build", path.join(folder, "absent")])).codes).toEqual(["SHEAF_NO_PROJECT"]);
  });

  it("no app, with what came close", async () => {
    const folder = writeFiles(temporaryFolder(), {
      "service/web.py": "from fastapi import FastAPI\n\ndef create_app():\n    return FastAPI()\n\ncreate_app()\n",
      "service/tool.py": "print(1)\n",
      "requirements.txt": "",
    });
    const { codes, text } = await refused(["plan", folder, "--app", "service.nowhere:app"]);
    expect(codes).toEqual([expect.stringMatching(/^SHEAF_(NO_MODULE|APP)$/)]);
    expect(text).toContain("service.nowhere");

    const none = writeFiles(temporaryFolder(), { "tool.py": "print(1)\n", "requirements.txt": "" });
    const nothing = await refused(["plan", none]);
    expect(nothing.codes).toEqual(["SHEAF_NO_APP"]);
    expect(nothing.text).toMatch(/no FastAPI or Celery app found[\s\S]*looked in[\s\S]*--app/);
  });

  it("modules that import all of each other, without end", async () => {
    const folder = writeFiles(temporaryFolder(), {
      "one.py": "from two import *\n\napp = make()\n",
      "two.py": "from one import *\n\nother = make()\n",
      "requirements.txt": "",
    });
    expect((await refused(["plan", folder])).codes).toEqual(["SHEAF_NO_APP"]);
  });

  it("several apps that could be meant", async () => {
    const folder = writeFiles(temporaryFolder(), {
      ...sound(),
      "main.py": "",
      "one/main.py": app,
      "one/__init__.py": "",
      "two/main.py": app,
      "two/__init__.py": "",
    });
    const { codes, text } = await refused(["plan", folder]);
    expect(codes).toEqual(["SHEAF_SEVERAL_APPS"]);
    expect(text).toContain("one/main.py");
    expect(text).toContain("two/main.py");
  });

  it("two locks of different tools", async () => {
    const folder = writeFiles(temporaryFolder(), {
      "main.py": app,
      "pyproject.toml": '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.12"\ndependencies = []\n',
      "uv.lock": 'version = 1\nrequires-python = ">=3.12"\n',
      "poetry.lock": '[metadata]\nlock-version = "2.0"\npython-versions = ">=3.12"\n',
    });
    const { codes, text } = await refused(["plan", folder]);
    expect(codes).toEqual(["SHEAF_LOCKS"]);
    expect(text).toMatch(/uv\.lock and poetry\.lock|poetry\.lock and uv\.lock/);
  });

  it("a lock that is older than what it locks", async () => {
    const folder = writeFiles(temporaryFolder(), {
      "main.py": app,
      "pyproject.toml":
        '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.12"\ndependencies = ["fastapi", "celery>=5"]\n',
      "uv.lock": [
        'version = 1\nrequires-python = ">=3.12"\n',
        '[[package]]\nname = "demo"\nversion = "1"\nsource = { virtual = "." }\ndependencies = [{ name = "fastapi" }]\n',
        '[[package]]\nname = "fastapi"\nversion = "1.0"\nsource = { registry = "https://index.example.test/simple" }\n',
      ].join("\n"),
    });
    const { codes, text } = await refused(["plan", folder]);
    expect(codes).toEqual(["SHEAF_LOCK_STALE"]);
    expect(text).toMatch(/uv\.lock is older than pyproject\.toml: .*celery/);
  });

  it("a Python that no interpreter is there for", async () => {
    const folder = writeFiles(temporaryFolder(), sound());
    const { codes, text } = await refused(["plan", folder, "--python", "3.7"]);
    expect(codes).toEqual([expect.stringMatching(/^SHEAF_(NO_PYTHON|PYTHON)/)]);
    expect(text).toContain("3.7");
  });

  it("all mistakes of the configuration at once, with what was meant", async () => {
    const folder = writeFiles(temporaryFolder(), {
      ...sound(),
      "sheaf.toml": [
        'pyhton = "3.12"',
        "strip = 3",
        "[images.api]",
        'comand = ["uvicorn", "main:app"]',
        'budget = "300 potatoes"',
      ].join("\n"),
    });
    const { text } = await refused(["plan", folder]);
    expect(text).toMatch(/pyhton.*did you mean python/s);
    expect(text).toMatch(/comand.*did you mean command/s);
    expect(text).toContain("300 potatoes");
    expect(text).toContain("strip");
  });

  it("broken TOML, with its line", async () => {
    const folder = writeFiles(temporaryFolder(), { ...sound(), "pyproject.toml": '[project]\nname = "demo\n' });
    const { codes, text } = await refused(["plan", folder]);
    expect(codes).toEqual(["SHEAF_TOML"]);
    expect(text).toContain("pyproject.toml:2");
  });

  it("a requirements file that can't be read", async () => {
    const folder = writeFiles(temporaryFolder(), {
      ...sound(),
      "requirements.txt": "fastapi==1.0\n???\n-r lost.txt\n",
    });
    const { text } = await refused(["plan", folder]);
    expect(text).toContain("requirements.txt:2");
  });
});

describe("files of a project that can't be shipped as they are", () => {
  it("a link that leaves the project is told and left out", { timeout: 60_000 }, async () => {
    const { env } = await serveWheels(framework());
    const folder = writeFiles(temporaryFolder(), sound());
    fs.symlinkSync("/etc/passwd", path.join(folder, "outside.txt"));
    fs.symlinkSync("main.py", path.join(folder, "inside.py"));
    const outcome = await sheaf(["plan", folder, "--json"], { env });
    expect(outcome.code, outcome.stderr).toBe(0);
    const [image] = (
      JSON.parse(outcome.stdout) as {
        images: { files: { path: string }[]; withheld: object[]; notes: object[] }[];
      }
    ).images;
    const shipped = image?.files.map((file) => path.basename(file.path)) ?? [];
    expect(shipped).toContain("inside.py");
    expect(shipped).not.toContain("outside.txt");
    expect(image?.withheld).toContainEqual(expect.objectContaining({ path: "outside.txt", reason: "outside" }));
    expect(image?.notes).toContainEqual(expect.objectContaining({ message: expect.stringMatching(/^outside\.txt/) }));
  });

  it("a name that is not UTF-8", async () => {
    const { env } = await serveWheels(framework());
    const folder = writeFiles(temporaryFolder(), sound());
    fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9]), Buffer.from(".txt")]), "x");
    const { codes, text } = await refused(["plan", folder], { env });
    expect(codes).toEqual(["SHEAF_NAME"]);
    expect(text).toMatch(/caf/);
  });

  it("names that differ by case alone", { timeout: 60_000 }, async () => {
    const { env } = await serveWheels(framework());
    const folder = writeFiles(temporaryFolder(), { ...sound(), "data/Menu.txt": "a", "data/menu.txt": "b" });
    const outcome = await sheaf(["plan", folder], { env });
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(outcome.stdout + outcome.stderr).toMatch(/Menu\.txt.*menu\.txt|menu\.txt.*Menu\.txt/s);
  });

  it("a file of more than 100 MB, with its size", { timeout: 60_000 }, async () => {
    const { env } = await serveWheels(framework());
    const folder = writeFiles(temporaryFolder(), sound());
    fs.truncateSync(path.join(writeFiles(folder, { "data/big.bin": "" }), "data/big.bin"), 130_000_000);
    const outcome = await sheaf(["plan", folder], { env });
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(outcome.stdout + outcome.stderr).toMatch(/data\/big\.bin.*130 MB|130 MB.*data\/big\.bin/s);
  });

  it("secrets stay behind and are named", { timeout: 60_000 }, async () => {
    const { env } = await serveWheels(framework());
    const folder = writeFiles(temporaryFolder(), {
      ...sound(),
      ".env": "KEY=1\n",
      "certs/dev.key": "k",
      ".git/config": "",
    });
    const outcome = await sheaf(["plan", folder, "--json"], { env });
    expect(outcome.code, outcome.stderr).toBe(0);
    const [image] = (
      JSON.parse(outcome.stdout) as {
        images: { files: { path: string }[]; withheld: { path: string; reason: string }[] }[];
      }
    ).images;
    expect(image?.files.some((file) => /\.env$|dev\.key|\.git\//.test(file.path))).toBe(false);
    const secrets = image?.withheld.filter((each) => each.reason === "secret").map((each) => each.path);
    expect(secrets).toEqual(expect.arrayContaining([".env", "certs/dev.key"]));
  });
});
