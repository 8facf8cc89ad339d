import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { parseDeb822Sources, parseOneLineSources, readAptProxies, readAptSources } from "../../src/debian/sources.ts";

let root: string;
beforeEach(() => void (root = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-apt-"))));
afterEach(() => fs.rmSync(root, { recursive: true }));

function write(file: string, text: string): void {
  const target = path.join(root, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, text);
}

describe("readAptSources", () => {
  it("reads every form, in apt's order, with where each stands", () => {
    write(
      "etc/apt/sources.list",
      "# comment\ndeb [arch=amd64,arm64 signed-by=/k.gpg] http://a.example.test/debian/ bookworm main contrib # tail\ndeb-src http://a.example.test/debian bookworm main\n",
    );
    write(
      "etc/apt/sources.list.d/b.sources",
      "Types: deb deb-src\nURIs: https://b.example.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/b.gpg\n\nTypes: deb\nURIs: https://off.example.test\nSuites: x\nComponents: main\nEnabled: no\n",
    );
    write("etc/apt/sources.list.d/c.list.save", "deb http://saved.example.test x main\n");
    const sources = readAptSources(root);
    expect(sources.map(({ uri, suite, origin }) => `${uri} ${suite} ${origin}`)).toEqual([
      "http://a.example.test/debian bookworm /etc/apt/sources.list:2",
      "https://b.example.test/debian bookworm /etc/apt/sources.list.d/b.sources:1",
      "https://b.example.test/debian bookworm-updates /etc/apt/sources.list.d/b.sources:1",
    ]);
    expect(sources[0]).toMatchObject({
      components: ["main", "contrib"],
      architectures: ["amd64", "arm64"],
      signedBy: { keyrings: ["/k.gpg"] },
    });
  });

  it("takes Check-Valid-Until from apt.conf, and proxies", () => {
    write(
      "etc/apt/apt.conf.d/99x",
      'Acquire::Check-Valid-Until "false";\nAcquire::http::Proxy "http://proxy.example.test:3128";\n',
    );
    write("etc/apt/sources.list", "deb http://a.example.test x main\n");
    expect(readAptSources(root)[0]?.ignoreExpiry).toBe(true);
    expect(readAptProxies(root)).toEqual({
      http: "http://proxy.example.test:3128",
      https: "http://proxy.example.test:3128",
    });
  });

  it("finds nothing on a machine without apt", () => {
    expect(readAptSources(root)).toEqual([]);
  });
});

describe("one source", () => {
  it("names the schemes that it can't fetch from", () => {
    const [mirror, cdrom, tor] = parseOneLineSources(
      "deb mirror+file:/etc/m x main\ndeb cdrom:[D]/ x main\ndeb tor+http://a.example.test x main",
      "l",
    );
    expect(mirror?.unsupported).toContain("mirror+file:");
    expect(cdrom?.unsupported).toContain("cdrom:");
    expect(tor?.unsupported).toContain("tor+http:");
  });

  it("keeps an inline key, its dots as blank lines", () => {
    const text =
      "Types: deb\nURIs: http://a.example.test\nSuites: x\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n";
    expect(parseDeb822Sources(text, "s")[0]?.signedBy.inline).toEqual([
      "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----",
    ]);
  });

  it("reads fingerprints and lists in Signed-By", () => {
    const [found] = parseOneLineSources(
      "deb [signed-by=/a.gpg,/b.asc,0123456789abcdef0123456789abcdef01234567! trusted=yes] http://a.example.test x main",
      "l",
    );
    expect(found?.signedBy).toEqual({
      keyrings: ["/a.gpg", "/b.asc"],
      fingerprints: ["0123456789ABCDEF0123456789ABCDEF01234567"],
      inline: [],
    });
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseOneLineSources(`deb ${text}`, "l");
        parseDeb822Sources(`Types: deb\n${text}`, "s");
      }),
    );
  });
});
