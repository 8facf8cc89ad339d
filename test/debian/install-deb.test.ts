import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { installDeb } from "../../src/debian/install-deb.ts";
import type { SheafError } from "../../src/errors.ts";
import type { Entry } from "../../src/filesystem/entry.ts";
import { ar, deb, hasTool, tar } from "./builders.ts";

function find(entries: Entry[], path: string): Entry {
  return entries.find((entry) => entry.path === path) ?? expect.fail(`${path} is missing`);
}

function textOf(entry: Entry): string {
  return entry.type === "file" && entry.content.kind === "bytes"
    ? Buffer.from(entry.content.bytes).toString()
    : expect.fail("not a file");
}

async function failure(bytes: Uint8Array): Promise<SheafError> {
  return installDeb(bytes).then(
    () => expect.fail("it should have failed"),
    (error: unknown) => error as SheafError,
  );
}

describe("installDeb", () => {
  it.each([["gz"], ["none"], ...(hasTool("xz") ? [["xz"]] : []), ...(hasTool("zstd") ? [["zst"]] : [])] as ["gz"][])(
    "unpacks members that are compressed as %s",
    async (compression) => {
      const installed = await installDeb(
        deb({
          compression,
          control: { Source: "src (2.0)", Version: "1:1.0-1" },
          files: [{ path: "./usr/bin/tool", text: "x", mode: 0o755 }],
        }),
      );
      expect(installed).toMatchObject({
        name: "sample",
        version: "1:1.0-1",
        architecture: "amd64",
        source: "src",
        sourceVersion: "2.0",
      });
      expect(find(installed.entries, "usr/bin/tool")).toMatchObject({ type: "file", mode: 0o755, uid: 0, gid: 0 });
    },
  );

  it("merges /usr and leaves the links at the root to the image", async () => {
    const { entries, links } = await installDeb(
      deb({
        files: [
          { path: "./bin", type: "symlink", target: "usr/bin" },
          { path: "./lib/", type: "directory" },
          { path: "./lib/x86_64-linux-gnu/libz.so.1.2", text: "z" },
          { path: "./lib/x86_64-linux-gnu/libz.so.1", type: "symlink", target: "libz.so.1.2" },
          { path: "./lib64/ld.so", type: "symlink", target: "/lib/x86_64-linux-gnu/ld.so" },
          { path: "./sbin/tool", text: "t" },
          { path: "./libexec/kept", text: "k" },
        ],
      }),
    );
    expect(entries.map((entry) => entry.path).filter((name) => !name.startsWith("var/"))).toEqual([
      "libexec/kept",
      "usr/lib",
      "usr/lib/x86_64-linux-gnu/libz.so.1",
      "usr/lib/x86_64-linux-gnu/libz.so.1.2",
      "usr/lib64/ld.so",
      "usr/sbin/tool",
    ]);
    expect(links).toContainEqual({ path: "usr/lib/x86_64-linux-gnu/libz.so.1", target: "libz.so.1.2" });
  });

  it("makes the first path of a hard link group the file, whatever the archive's order", async () => {
    const { entries } = await installDeb(
      deb({
        files: [
          { path: "./usr/bin/z", text: "same", mode: 0o755 },
          { path: "./usr/bin/a", type: "hardlink", target: "./usr/bin/z" },
          { path: "./usr/share/doc/sample/readme", text: "manual" },
          { path: "./usr/share/sample/readme", type: "hardlink", target: "./usr/share/doc/sample/readme" },
        ],
      }),
    );
    expect(textOf(find(entries, "usr/bin/a"))).toBe("same");
    expect(find(entries, "usr/bin/z")).toMatchObject({ type: "hardlink", target: "usr/bin/a", mode: 0o755 });
    expect(textOf(find(entries, "usr/share/sample/readme"))).toBe("manual");
  });

  it("leaves out manuals but not licences, and says how much", async () => {
    const files = [
      { path: "./usr/share/man/man1/x.1.gz", text: "12345" },
      { path: "./usr/share/locale/de/LC_MESSAGES/x.mo", text: "123" },
      { path: "./usr/share/doc/sample/copyright", text: "GPL" },
      { path: "./usr/share/doc/sample/changelog.gz", text: "1" },
      { path: "./usr/share/doc/other", type: "symlink" as const, target: "sample" },
    ];
    const plain = await installDeb(deb({ files }));
    expect(plain.leftOut).toEqual({ files: 3, bytes: 9 });
    expect(plain.entries.filter((entry) => entry.path.startsWith("usr/")).map((entry) => entry.path)).toEqual([
      "usr/share/doc/other",
      "usr/share/doc/sample/copyright",
    ]);
    expect((await installDeb(deb({ files }), { keepDocs: true })).leftOut).toEqual({ files: 0, bytes: 0 });
  });

  it("keeps owners, special modes and extended attributes", async () => {
    const { entries } = await installDeb(
      deb({
        files: [
          {
            path: "./usr/bin/su",
            text: "x",
            mode: 0o4755,
            uid: 0,
            gid: 42,
            pax: { "SCHILY.xattr.security.capability": "\u0001abc" },
          },
        ],
      }),
    );
    const entry = find(entries, "usr/bin/su");
    expect(entry).toMatchObject({ mode: 0o4755, gid: 42 });
    expect(entry.type === "file" && Buffer.from(entry.xattrs?.["security.capability"] ?? []).toString()).toBe(
      "\u0001abc",
    );
  });

  it("writes what scanners read: the status and the sums of what is kept", async () => {
    const sums = `${"0".repeat(32)}  lib/libz.so\n${"1".repeat(32)}  usr/share/man/man1/x.1\n`;
    const files = [
      { path: "./lib/libz.so", text: "z" },
      { path: "./etc/conf", text: "c" },
      { path: "./usr/share/man/man1/x.1", text: "m" },
    ];
    const { entries } = await installDeb(deb({ files, scripts: { md5sums: sums } }));
    expect(textOf(find(entries, "var/lib/dpkg/status.d/sample"))).toMatch(
      /^Package: sample\nStatus: install ok installed\nVersion: 1\.0-1\n/,
    );
    const conf = createHash("md5").update("c").digest("hex");
    expect(textOf(find(entries, "var/lib/dpkg/status.d/sample.md5sums"))).toBe(
      `${conf}  etc/conf\n${"0".repeat(32)}  usr/lib/libz.so\n`,
    );
  });

  it("applies modes of maintainer scripts, but runs nothing as somebody else", async () => {
    const files = [
      { path: "./usr/bin/known", text: "x", mode: 0o755 },
      { path: "./usr/bin/dynamic", text: "x", mode: 0o755 },
    ];
    const postinst =
      "#!/bin/sh\nchown root:tty /usr/bin/known\nchmod 2755 /usr/bin/known\nchgrp _svc /usr/bin/dynamic\nchmod 2755 /usr/bin/dynamic\n";
    const { entries } = await installDeb(deb({ files, scripts: { postinst } }));
    expect(find(entries, "usr/bin/known")).toMatchObject({ mode: 0o2755, gid: 5 });
    expect(find(entries, "usr/bin/dynamic")).toMatchObject({ mode: 0o755, gid: 0 });
  });

  it("tells of libraries that are found through an alternative", async () => {
    const path = "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3";
    const link = "/usr/lib/x86_64-linux-gnu/libblas.so.3";
    const postinst = `#!/bin/sh\nupdate-alternatives --install ${link} libblas.so.3 ${path} 10\n`;
    const installed = await installDeb(deb({ files: [{ path: `.${path}`, text: "x" }], scripts: { postinst } }));
    expect(installed.links).toEqual([{ path: link.slice(1), target: path }]);
  });

  it("brings certificates and the tables of accounts as effects", async () => {
    const { effects } = await installDeb(
      deb({
        files: [
          { path: "./usr/share/ca-certificates/mozilla/A.crt", text: "PEM" },
          { path: "./usr/share/base-passwd/passwd.master", text: "root:*:0:0:root:/root:/bin/bash\n" },
          { path: "./usr/share/base-passwd/group.master", text: "root:*:0:\n" },
        ],
      }),
    );
    expect(effects).toContainEqual({
      kind: "certificates",
      files: [{ path: "usr/share/ca-certificates/mozilla/A.crt", pem: "PEM" }],
    });
    expect(effects.some((effect) => effect.kind === "accounts")).toBe(true);
  });

  it.each([
    ["a path that leaves the root", [{ path: "./../evil", text: "x" }], "leaves the root"],
    ["an absolute path", [{ path: "/etc/evil", text: "x" }], "leaves the root"],
    ["a device", [{ path: "./dev/mem", type: "device" as const }], "which no package of Debian ships"],
    ["a hard link to nothing", [{ path: "./a", type: "hardlink" as const, target: "./b" }], "does not have"],
  ])("refuses %s", async (_, files, reason) => {
    const error = await failure(deb({ files }));
    expect(error.code).toBe("SHEAF_DEB_FORMAT");
    expect(error.message).toContain(reason);
  });

  it("refuses what is no package, or half of one", async () => {
    expect((await failure(ar([["debian-binary", Buffer.from("2.0\n")]]))).code).toBe("SHEAF_DEB_FORMAT");
    expect(
      (
        await failure(
          ar([
            ["debian-binary", Buffer.from("2.0\n")],
            ["control.tar.bz2", Buffer.from("x")],
            ["data.tar.bz2", Buffer.from("x")],
          ]),
        )
      ).message,
    ).toContain("control.tar.bz2");
    const nameless = ar([
      ["debian-binary", Buffer.from("2.0\n")],
      ["control.tar", tar([{ path: "control", text: "Package: ../x\n" }])],
      ["data.tar", tar([])],
    ]);
    expect((await failure(nameless)).message).toContain("no proper Package");
  });

  it("answers damaged packages with errors that name them, never with bugs", async () => {
    const whole = deb({
      files: [{ path: "./usr/bin/tool", text: "x".repeat(2000) }],
      scripts: { postinst: "#!/bin/sh\ntrue\n" },
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), async (at, value, cut) => {
        const damaged = cut ? whole.subarray(0, at) : Buffer.from(whole).fill(value, at, at + 1);
        await installDeb(damaged).catch((error: unknown) => expect((error as SheafError).code).toMatch(/^SHEAF_/));
      }),
      { numRuns: 150 },
    );
  });

  it.skipIf(!hasTool("dpkg-deb"))("reads the fields and contents that dpkg-deb reads (needs dpkg-deb)", async () => {
    const files = [
      { path: "./usr/", type: "directory" as const },
      { path: "./usr/bin/", type: "directory" as const },
      { path: "./usr/bin/tool", text: "abc", mode: 0o755 },
      { path: "./usr/bin/alias", type: "symlink" as const, target: "tool" },
    ];
    const bytes = deb({ files, control: { Depends: "libc6 (>= 2.36)", Description: "short\n long\n ." } });
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-deb-"));
    const name = path.join(folder, "sample.deb");
    fs.writeFileSync(name, bytes);
    const installed = await installDeb(bytes);
    const fields = execFileSync("dpkg-deb", ["--field", name], { encoding: "utf8" });
    expect(
      Object.entries(installed.fields)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join("")
        .split("\n")
        .toSorted(),
    ).toEqual(fields.split("\n").toSorted());
    const contents = execFileSync("dpkg-deb", ["--contents", name], { encoding: "utf8" });
    const listed = [...contents.matchAll(/^(\S+) \S+ +\d+ \S+ \S+ \.\/(\S*?)\/?(?: -> \S+)?$/gm)]
      .map((match) => `${match[1]?.[0]} ${match[2]}`)
      .filter((line) => line !== "d ");
    const letters = { file: "-", directory: "d", symlink: "l", hardlink: "h" };
    const mine = installed.entries
      .filter((entry) => entry.path.startsWith("usr"))
      .map((entry) => `${letters[entry.type]} ${entry.path}`);
    expect(mine.toSorted()).toEqual(listed.toSorted());
    fs.rmSync(folder, { recursive: true });
  });
});
