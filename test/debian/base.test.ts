import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { basePackages, type InstalledFacts, systemEntries, type SystemOptions } from "../../src/debian/base.ts";
import { compareLibraryNames, ldSoCache } from "../../src/debian/ld-so-cache.ts";
import { cacheLibraries } from "../../src/debian/libraries.ts";
import type { DebEffect } from "../../src/debian/effects.ts";
import type { SheafError } from "../../src/errors.ts";
import type { Entry } from "../../src/filesystem/entry.ts";
import { hasTool } from "./builders.ts";

const platform = { os: "linux", architecture: "amd64" } as const;

function facts(name: string, parts: Partial<InstalledFacts> & { files?: string[] } = {}): InstalledFacts {
  const { files = [], ...rest } = parts;
  return {
    name,
    entries: files.map((path) => ({ path, type: "file" as const })),
    elf: [],
    links: [],
    effects: [],
    ...rest,
  };
}

function compose(debs: InstalledFacts[], options: Partial<SystemOptions> = {}): Map<string, Entry> {
  const entries = systemEntries({
    debs,
    user: { name: "appuser", uid: 10001, gid: 10001 },
    platform,
    shell: true,
    ...options,
  });
  return new Map(entries.map((entry) => [entry.path, entry]));
}

function text(entries: Map<string, Entry>, path: string): string {
  const entry = entries.get(path);
  return entry?.type === "file" && entry.content.kind === "bytes"
    ? Buffer.from(entry.content.bytes).toString()
    : expect.fail(`${path} is missing`);
}

describe("systemEntries", () => {
  it("makes a root that a container can run in", () => {
    const entries = compose([facts("busybox", { files: ["usr/bin/busybox"] })]);
    expect(entries.get("tmp")).toMatchObject({ type: "directory", mode: 0o1777 });
    expect(entries.get("root")).toMatchObject({ mode: 0o700 });
    expect(entries.get("home/appuser")).toMatchObject({ uid: 10001, gid: 10001 });
    expect(entries.get("bin")).toMatchObject({ type: "symlink", target: "usr/bin" });
    expect(entries.has("lib64")).toBe(false);
    expect(entries.get("usr/bin/whoami")).toMatchObject({ target: "busybox" });
    expect(entries.get("usr/sbin/ip")).toMatchObject({ target: "../bin/busybox" });
    expect(entries.has("etc/hosts") || entries.has("etc/hostname") || entries.has("etc/resolv.conf")).toBe(false);
    expect([...entries.keys()]).toEqual([...entries.keys()].toSorted());
  });

  it("has no shell and no applets without one", () => {
    const entries = compose([], { shell: false });
    expect(entries.has("usr/bin/sh")).toBe(false);
    expect(text(entries, "etc/passwd")).toContain("root:x:0:0:root:/root:/usr/sbin/nologin\n");
  });

  it("lets real tools win over busybox wherever they are", () => {
    const entries = compose([facts("busybox", { files: ["usr/bin/busybox", "usr/bin/wget", "usr/bin/ip"] })]);
    expect(entries.has("usr/bin/wget") || entries.has("usr/sbin/ip")).toBe(false);
    expect(entries.has("usr/bin/sh")).toBe(true);
  });

  it("gives users and groups ids that depend on nothing but the packages", () => {
    const base = facts("base-passwd", {
      effects: [
        {
          kind: "accounts",
          passwd: "root:*:0:0:root:/root:/bin/bash\nmail:*:8:8:mail:/var/mail:/usr/sbin/nologin\n",
          group: "root:*:0:\nmail:*:8:\nshadow:*:42:\n",
        },
      ],
    });
    const redis = facts("redis", {
      effects: [
        { kind: "user", name: "redis", group: "redis", home: "/var/lib/redis" },
        { kind: "member", user: "redis", group: "mail" },
        { kind: "directory", path: "var/lib/redis", create: true, owner: "redis", group: "redis", mode: 0o750 },
      ],
    });
    const entries = compose([base, redis], { user: { name: "appuser", uid: 10001, gid: 10001 } });
    expect(text(entries, "etc/passwd")).toBe(
      "root:x:0:0:root:/root:/bin/sh\nmail:x:8:8:mail:/var/mail:/usr/sbin/nologin\nredis:x:101:101::/var/lib/redis:/usr/sbin/nologin\nappuser:x:10001:10001::/home/appuser:/usr/sbin/nologin\n",
    );
    expect(text(entries, "etc/group")).toBe(
      "root:x:0:\nmail:x:8:redis\nshadow:x:42:\nredis:x:101:\nappuser:x:10001:\n",
    );
    expect(entries.get("etc/shadow")).toMatchObject({ mode: 0o640, uid: 0, gid: 42 });
    expect(entries.get("var/lib/redis")).toMatchObject({ uid: 101, gid: 101, mode: 0o750 });
  });

  it("puts the CA bundle together in the order of the paths, the extra ones last", () => {
    const files = [
      { path: "usr/share/ca-certificates/mozilla/B.crt", pem: "BBB\n" },
      { path: "usr/share/ca-certificates/mozilla/A.crt", pem: "AAA" },
    ];
    const entries = compose([facts("ca-certificates", { effects: [{ kind: "certificates", files }] })], {
      extraCertificates: ["MINE"],
    });
    expect(text(entries, "etc/ssl/certs/ca-certificates.crt")).toBe("AAA\nBBB\nMINE\n");
  });

  it("links the alternative with the highest priority, and slaves whose file is there", () => {
    const choice = (path: string, priority: number): DebEffect => ({
      kind: "alternative",
      name: "libblas.so.3-x86_64-linux-gnu",
      link: "/usr/lib/x86_64-linux-gnu/libblas.so.3",
      path,
      priority,
      slaves: [{ name: "man", link: "/usr/share/man/x", path: "/usr/share/man/y" }],
    });
    const [reference, openblas] = ["blas", "openblas-pthread"].map(
      (name) => `usr/lib/x86_64-linux-gnu/${name}/libblas.so.3`,
    );
    const entries = compose([
      facts("libblas3", { files: [reference ?? ""], effects: [choice(`/${reference}`, 10)] }),
      facts("libopenblas0", { files: [openblas ?? ""], effects: [choice(`/${openblas}`, 100)] }),
      facts("gone", { effects: [choice("/not/there", 999)] }),
    ]);
    expect(entries.get("usr/lib/x86_64-linux-gnu/libblas.so.3")).toMatchObject({
      target: "/etc/alternatives/libblas.so.3-x86_64-linux-gnu",
    });
    expect(entries.get("etc/alternatives/libblas.so.3-x86_64-linux-gnu")).toMatchObject({ target: `/${openblas}` });
    expect(entries.has("usr/share/man/x")).toBe(false);
  });

  it("refuses a diversion only when it matters", () => {
    const diverting = facts("b", { effects: [{ kind: "diversion", path: "usr/bin/x", by: "b" }] });
    expect(() => compose([diverting])).not.toThrow();
    const error = (() => {
      try {
        compose([facts("a", { files: ["usr/bin/x"] }), diverting]);
      } catch (thrown) {
        return thrown as SheafError;
      }
      return expect.fail("it should have failed");
    })();
    expect(error.code).toBe("SHEAF_DEB_SCRIPT");
    expect(error.message).toContain("b moves /usr/bin/x of a aside");
  });

  it("registers ODBC drivers of several packages in one file", () => {
    const driver = (text: string) => facts(text, { effects: [{ kind: "odbc-driver", text: `[${text}]\nDriver=x\n` }] });
    expect(text(compose([driver("One"), driver("Two")]), "etc/odbcinst.ini")).toBe(
      "[One]\nDriver=x\n\n[Two]\nDriver=x\n",
    );
  });

  it("never replaces what a package ships", () => {
    const script = facts("a", {
      files: ["etc/conf"],
      effects: [{ kind: "file", path: "etc/conf", text: "x", mode: 0o644 }],
    });
    expect(compose([script]).has("etc/conf")).toBe(false);
  });

  it("asks for a shell only when one is wanted", () => {
    expect(basePackages({ shell: true })).toContain("busybox");
    expect(basePackages({ shell: false })).not.toContain("busybox");
  });
});

describe("ldSoCache", () => {
  const name = fc.stringMatching(/^lib[a-c0-9._+-]{0,8}\.so(\.[0-9]{1,3})?$/);
  const libraries = fc
    .uniqueArray(name, { maxLength: 40 })
    .map((names) => names.map((soname) => ({ soname, path: `/lib/x86_64-linux-gnu/${soname}` })));

  it("orders runs of digits as numbers, and every pair one way only", () => {
    expect(compareLibraryNames("libx.so.9", "libx.so.10")).toBeLessThan(0);
    expect(compareLibraryNames("libx2.so", "libx.so")).toBeGreaterThan(0);
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(Math.sign(compareLibraryNames(a, b))).toBe(-Math.sign(compareLibraryNames(b, a)) + 0);
      }),
    );
  });

  it.skipIf(!hasTool("ldconfig"))("is read by ldconfig, entry for entry (needs ldconfig)", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-cache-"));
    const file = path.join(folder, "ld.so.cache");
    fc.assert(
      fc.property(libraries, (list) => {
        fs.writeFileSync(file, ldSoCache(list, "x86_64"));
        const output = execFileSync("ldconfig", ["-p", "-C", file], { encoding: "utf8" });
        const read = [...output.matchAll(/^\t(\S+) \(libc6,x86-64\) => (\S+)$/gm)].map((match) => ({
          soname: match[1],
          path: match[2],
        }));
        expect(read).toEqual(list.toSorted((a, b) => compareLibraryNames(b.soname, a.soname)));
      }),
      { numRuns: 30 },
    );
    fs.rmSync(folder, { recursive: true });
  });

  const library = "/lib/x86_64-linux-gnu/libz.so.1";
  const canRun = hasTool("ldconfig") && process.getuid?.() === 0 && fs.existsSync(library);

  it.skipIf(!canRun)("has what ldconfig itself makes of the same folder (needs root, ldconfig and a libz)", () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-root-"));
    const folder = path.join(root, "usr/lib/x86_64-linux-gnu");
    fs.mkdirSync(folder, { recursive: true });
    fs.mkdirSync(path.join(root, "etc"));
    fs.symlinkSync("usr/lib", path.join(root, "lib"));
    fs.writeFileSync(path.join(root, "etc/ld.so.conf"), "/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n");
    for (const file of ["libz.so.1.2.13", "libother.so.10.1"])
      fs.copyFileSync(fs.realpathSync(library), path.join(folder, file));
    fs.symlinkSync("libz.so.1.2.13", path.join(folder, "libz.so.1"));
    fs.symlinkSync("libz.so.1.2.13", path.join(folder, "libz.so"));
    execFileSync("ldconfig", ["-r", root]);
    const read = (file: string) =>
      [...execFileSync("ldconfig", ["-p", "-C", file], { encoding: "utf8" }).matchAll(/^\t(\S+) .* => (\S+)$/gm)].map(
        (match) => `${match[1]} ${match[2]}`,
      );
    const elf = ["libz.so.1.2.13", "libother.so.10.1"].map((file) => ({
      path: `usr/lib/x86_64-linux-gnu/${file}`,
      facts: { machine: "x86_64", class: 64 as const, type: "dyn", soname: "libz.so.1" },
    }));
    const links = ["libz.so.1", "libz.so"].map((link) => ({
      path: `usr/lib/x86_64-linux-gnu/${link}`,
      target: "libz.so.1.2.13",
    }));
    const mine = path.join(root, "mine");
    fs.writeFileSync(mine, ldSoCache(cacheLibraries([{ elf, links }], platform), "x86_64"));
    expect(read(mine)).toEqual(read(path.join(root, "etc/ld.so.cache")));
    fs.rmSync(root, { recursive: true });
  });

  it("marks arm64 libraries as such", () => {
    const cache = Buffer.from(
      ldSoCache([{ soname: "libz.so.1", path: "/lib/aarch64-linux-gnu/libz.so.1" }], "aarch64"),
    );
    expect(cache.toString("latin1", 0, 20)).toBe("glibc-ld.so.cache1.1");
    expect(cache.readUInt32LE(20)).toBe(1);
    expect(cache.readInt32LE(48)).toBe(0x0a03);
    expect(cache.length).toBe(48 + 24 + cache.readUInt32LE(24));
  });
});
