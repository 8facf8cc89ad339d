import { execFileSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SheafError } from "../../src/errors.ts";
import { chooseFiles, type FilesInput } from "../../src/project/files.ts";
import { Repository } from "../../src/project/repository.ts";
import { secretByContent, secretByName } from "../../src/project/secrets.ts";
import { writeRepository, type FileSpec } from "./write-repository.ts";

const key = `-----BEGIN PRIVATE KEY-----\n${"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC".repeat(4)}\n-----END PRIVATE KEY-----\n`;
const certificate = `-----BEGIN CERTIFICATE-----\n${"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC".repeat(4)}\n-----END CERTIFICATE-----\n`;

function choose(files: Record<string, FileSpec>, options: Partial<FilesInput> = {}) {
  const chosen = chooseFiles({
    repository: new Repository(writeRepository(files)),
    directory: "",
    importRoots: [""],
    config: {},
    dockerfiles: [],
    ...options,
  });
  return {
    ...chosen,
    shipped: chosen.files.map(({ path }) => path),
    kept: chosen.withheld.map(({ path, reason, rule }) => `${path} ${reason}: ${rule}`),
  };
}

describe("chooseFiles", () => {
  it("ships what an application needs and leaves the rest out, folders as one", () => {
    const { shipped, kept } = choose({
      "app/main.py": "",
      "app/templates/a.html": "",
      "app/data.json": "{}",
      "app/tests/test_a.py": "",
      "app/test_util.py": "",
      "app/__pycache__/main.pyc": "",
      "alembic/env.py": "",
      "alembic.ini": "",
      "static/x.css": "",
      "locale/de/x.po": "",
      "pyproject.toml": "",
      "uv.lock": "",
      "README.md": "",
      Dockerfile: "",
      "docker-compose.yml": "",
      "tests/conftest.py": "",
      "docs/a.md": "",
      ".github/workflows/x.yml": "",
      ".venv/pyvenv.cfg": "",
      "weird/pyvenv.cfg": "",
      "node_modules/x.js": "",
      "k8s/x.yaml": "",
      "frontend/package.json": "",
      "frontend/a.js": "",
      "a.ipynb": "",
      ".env.example": "A=",
      "requirements.txt": "",
      "requirements/base.txt": "",
    });
    expect(shipped).toEqual([
      ".env.example",
      "alembic.ini",
      "alembic/env.py",
      "app/data.json",
      "app/main.py",
      "app/templates/a.html",
      "locale/de/x.po",
      "pyproject.toml",
      "static/x.css",
    ]);
    expect(kept).toEqual(
      expect.arrayContaining([
        "app/tests/ ignored: default: tests",
        "app/test_util.py ignored: default: tests",
        "app/__pycache__/ cache: cache",
        ".venv/ virtualenv: virtual environment",
        "weird/ virtualenv: virtual environment",
        "frontend/ ignored: default: another build, it has a package.json",
        "uv.lock ignored: default: lock files",
      ]),
    );
  });

  it("honours ignore files and the configuration, in order", () => {
    const files = {
      ".gitignore": "*.gen\n/var/\n",
      ".dockerignore": "app/private\n*.sql\n!keep.sql\n",
      "app/a.gen": "",
      "app/b.py": "",
      "app/private/x": "",
      "var/x": "",
      "x.sql": "",
      "keep.sql": "",
      "docs/a.txt": "",
      "app/c.py": "",
    };
    expect(choose(files).shipped).toEqual(["app/b.py", "app/c.py", "keep.sql"]);
    expect(choose(files).kept).toEqual(
      expect.arrayContaining([
        "app/a.gen ignored: .gitignore:1",
        "var/ ignored: .gitignore:2",
        "x.sql ignored: .dockerignore:2",
      ]),
    );
    const configured = choose(files, {
      config: { include: ["docs/", "*.gen"], exclude: ["c.py", "*.gen"] },
      configFile: "sheaf.toml",
    });
    expect(configured.shipped).toEqual(["app/a.gen", "app/b.py", "docs/a.txt", "keep.sql"]);
    expect(configured.kept).toContain("app/c.py ignored: sheaf.toml exclude:1");
  });

  it("prefers a Dockerfile's own ignore file", () => {
    const files = {
      "prod.Dockerfile": "",
      "prod.Dockerfile.dockerignore": "b.py\n",
      ".dockerignore": "a.py\n",
      "a.py": "",
      "b.py": "",
    };
    expect(choose(files, { dockerfiles: ["prod.Dockerfile"] }).shipped).toEqual(["a.py"]);
  });

  it("keeps to the project's folder and its import roots", () => {
    const { shipped, kept } = choose(
      {
        "backend/app/main.py": "",
        "frontend/x.js": "",
        "README.md": "",
        "worker/tasks.py": "",
        "backend/.dockerignore": "x.txt\n",
        "backend/x.txt": "",
      },
      { directory: "backend", importRoots: ["backend", "worker"] },
    );
    expect(shipped).toEqual(["backend/app/main.py", "worker/tasks.py"]);
    expect(kept).toEqual(
      expect.arrayContaining([
        "frontend/ ignored: default: outside backend/",
        "backend/x.txt ignored: backend/.dockerignore:1",
      ]),
    );
  });

  it("withholds secrets whatever is configured, and few false alarms", () => {
    const { shipped, kept } = choose(
      {
        ".env": "A=1",
        "app/.env.production": "A=1",
        "certs/dev.key": key,
        "certs/server.pem": key,
        "certs/ca.pem": certificate,
        "app/cacert.pem": certificate,
        id_rsa: key,
        "conf/plain.txt": `x\n${key}`,
        "sa.json": `{"type": "service_account", "private_key": "${"x".repeat(60)}"}`,
        "app/keys.py": "KEY = 1",
        "docs.txt": "-----BEGIN PRIVATE KEY----- starts a key",
        ".env.sample": "A=",
        "id_rsa.pub": "ssh-rsa AAAA",
      },
      { config: { include: ["*"] } },
    );
    expect(shipped).toEqual([".env.sample", "app/cacert.pem", "app/keys.py", "certs/ca.pem", "docs.txt", "id_rsa.pub"]);
    expect(kept.every((line) => line.includes(" secret: "))).toBe(true);
  });

  it("keeps links inside, reports those that leave, and normalises modes", () => {
    const { files, kept } = choose({
      "app/a.py": "",
      "app/link.py": { link: "a.py" },
      "app/out": { link: "../../etc" },
      "app/abs": { link: "/etc/passwd" },
      "app/dangling": { link: "nowhere" },
      "run.sh": { executable: "#!/bin/sh" },
    });
    expect(files.map(({ path, mode, symlink }) => [path, mode, symlink])).toEqual([
      ["app/a.py", 0o644, undefined],
      ["app/dangling", 0o777, "nowhere"],
      ["app/link.py", 0o777, "a.py"],
      ["run.sh", 0o755, undefined],
    ]);
    expect(kept).toEqual([
      "app/abs outside: links to /etc/passwd, outside the project",
      "app/out outside: links to ../../etc, outside the project",
    ]);
  });

  it("marks what is large, notes names that differ in case, withholds pipes", () => {
    const root = writeRepository({ "a.py": "", "A.py": "", "big.bin": "" });
    truncateSync(join(root, "big.bin"), 100_000_001);
    execFileSync("mkfifo", [join(root, "pipe")]);
    const chosen = chooseFiles({
      repository: new Repository(root),
      directory: "",
      importRoots: [""],
      config: {},
      dockerfiles: [],
    });
    expect(chosen.files.find(({ path }) => path === "big.bin")?.large).toBe(true);
    expect(chosen.notes).toEqual([{ what: "differs from A.py in upper and lower case alone", source: "a.py" }]);
    expect(chosen.withheld).toEqual([{ path: "pipe", reason: "special", rule: "is a socket, a pipe or a device" }]);
  });
});

describe("Repository", () => {
  it.skipIf(process.platform !== "linux")(
    "refuses names that aren't UTF-8, by their bytes (Linux alone has them)",
    () => {
      const root = writeRepository({ "a.py": "" });
      mkdirSync(join(root, "d"));
      writeFileSync(Buffer.concat([Buffer.from(`${root}/d/`), Buffer.from([0x61, 0xff])]), "");
      expect(() => new Repository(root)).toThrow(
        expect.objectContaining({ code: "SHEAF_NAME", details: [["bytes", "61ff"]] }) as SheafError,
      );
      expect(() => new Repository(join(root, "missing"))).toThrow(
        expect.objectContaining({ code: "SHEAF_NO_PROJECT" }) as SheafError,
      );
    },
  );

  it("takes names that hold U+FFFD itself", () => {
    expect(new Repository(writeRepository({ "a\uFFFD.py": "" })).entries.map(({ path }) => path)).toEqual([
      "a\uFFFD.py",
    ]);
  });
});

describe("secrets", () => {
  it.each([
    ".env",
    ".env.local",
    "prod.env",
    "app/.netrc",
    ".pypirc",
    "x/credentials.json",
    "a.p12",
    "a.kdbx",
    "id_ed25519",
    ".aws/credentials",
    "secrets.yaml",
  ])("%s is a secret by its name", (path) => {
    expect(secretByName(path)).toBeDefined();
  });

  it.each([
    ".env.example",
    ".env.template",
    "env.py",
    "environment.yml",
    "app/keys.py",
    "keyboard.json",
    "id_rsa.pub",
    "app/secrets.py",
    "monkey.txt",
    "public.crt",
  ])("%s is none", (path) => {
    expect(secretByName(path)).toBeUndefined();
  });

  it("knows keys by their content", () => {
    expect(secretByContent("a", key)).toBe("holds a private key");
    expect(secretByContent("a.json", JSON.stringify({ k: key }))).toBe("holds a private key");
    expect(secretByContent("a", certificate)).toBeUndefined();
  });
});
