import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { openDebianArchive, type DebianArchiveOptions } from "../../src/debian/archive.ts";
import { debianPythonPackages, debianPythonVersion } from "../../src/debian/python.ts";
import type { SheafError } from "../../src/errors.ts";
import type { SheafEvent } from "../../src/events.ts";
import { createFetcher } from "../../src/fetch/create-fetcher.ts";
import type { Fetcher } from "../../src/fetch/fetcher.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { type Key, makeKey, serveArchive, stanza, type TestArchive } from "./builders.ts";

let key: Key;
let stranger: Key;
beforeAll(async () => {
  [key, stranger] = await Promise.all([makeKey("archive"), makeKey("stranger")]);
});

let root: string;
let store: Store;
let fetcher: Fetcher;
let archive: TestArchive;
let events: SheafEvent[];
beforeEach(async () => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-archive-"));
  store = openStore(path.join(root, "store"));
  fetcher = createFetcher({ store });
  archive = await serveArchive();
  events = [];
  write("etc/os-release", 'ID=debian\nVERSION_CODENAME="bookworm"\n');
  write("usr/share/keyrings/test.asc", key.publicKey);
  write("etc/apt/sources.list", `deb [signed-by=/usr/share/keyrings/test.asc] ${archive.url} bookworm main\n`);
});
afterEach(async () => {
  await fetcher.close();
  await archive.close();
  fs.rmSync(root, { recursive: true });
});

function write(file: string, text: string): void {
  fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  fs.writeFileSync(path.join(root, file), text);
}

function open(options: Partial<DebianArchiveOptions> = {}) {
  const platform = { os: "linux", architecture: "amd64" } as const;
  return openDebianArchive({
    store,
    fetcher,
    platform,
    root,
    emit: (event) => events.push(event),
    now: () => new Date("2026-11-23T00:00:00Z"),
    ...options,
  });
}

async function failure(action: Promise<unknown>): Promise<SheafError> {
  return action.then(
    () => expect.fail("it should have failed"),
    (error: unknown) => error as SheafError,
  );
}

const main = {
  suite: "bookworm",
  version: "12.15",
  packages: stanza("app", { Depends: "libz1 (>= 1)" }) + stanza("libz1"),
};

describe("a signed archive", () => {
  it("opens, resolves and fetches by hash", async () => {
    await archive.publish(main, key);
    const opened = await open();
    expect(opened).toMatchObject({
      codename: "bookworm",
      version: "12.15",
      id: "debian",
      signedAt: "2026-11-21T00:00:00Z",
    });
    const packages = opened.resolve(["app"]);
    expect(packages.map((pkg) => pkg.name)).toEqual(["app", "libz1"]);
    expect(packages[0]).toMatchObject({ url: `${archive.url}/pool/main/app.deb`, size: 100, source: "app" });
    expect(JSON.parse(JSON.stringify(packages))).toEqual(packages);
    archive.files.set("/debian/pool/main/app.deb", Buffer.alloc(100, "x"));
    const wrong = await failure(opened.fetch(packages[0] ?? expect.fail()));
    expect(wrong.code).toBe("SHEAF_HASH_MISMATCH");
    expect(archive.requests.filter((url) => url.includes("/Packages"))).toEqual([]);
    expect(archive.requests.some((url) => url.includes("/main/binary-amd64/by-hash/SHA256/"))).toBe(true);
  });

  it("asks the network once a day, sooner with refresh, and never when offline", async () => {
    await archive.publish(main, key);
    (await open()).resolve(["app"]);
    const asked = archive.requests.length;
    (await open()).resolve(["app"]);
    expect(archive.requests.length).toBe(asked);
    await open({ refresh: true });
    expect(archive.requests.length).toBe(asked + 1);
    await open({ now: () => new Date("2026-11-24T00:00:01Z") });
    expect(archive.requests.length).toBe(asked + 2);
    const offline = createFetcher({ store, offline: true });
    const later = await open({ fetcher: offline, now: () => new Date("2026-12-30T00:00:00Z") });
    expect(later.resolve(["libz1"]).length).toBe(1);
    expect(archive.requests.length).toBe(asked + 2);
  });

  it("names what is missing when offline from the start", async () => {
    const offline = createFetcher({ store, offline: true });
    expect((await failure(open({ fetcher: offline }))).code).toBe("SHEAF_OFFLINE");
  });

  it("falls back to a by-hash-less mirror", async () => {
    await archive.publish(main, key);
    for (const name of archive.files.keys()) if (name.includes("by-hash")) archive.files.delete(name);
    expect((await open()).find("libz1")?.version).toBe("1.0-1");
  });

  it("takes the newest version of main, updates and security", async () => {
    write(
      "etc/apt/sources.list",
      ["bookworm", "bookworm-updates", "bookworm-security"]
        .map((suite) => `deb [signed-by=/usr/share/keyrings/test.asc] ${archive.url} ${suite} main\n`)
        .join(""),
    );
    await archive.publish(main, key);
    await archive.publish({ suite: "bookworm-updates", packages: stanza("libz1", { Version: "1.0-1+deb12u1" }) }, key);
    await archive.publish(
      { suite: "bookworm-security", label: "Debian-Security", packages: stanza("libz1", { Version: "1.0-1+deb12u2" }) },
      key,
    );
    const opened = await open();
    expect(opened.codename).toBe("bookworm");
    expect(opened.find("libz1")?.version).toBe("1.0-1+deb12u2");
  });

  it("finds another codename on the same archive", async () => {
    write(
      "etc/apt/sources.list",
      `deb [signed-by=/usr/share/keyrings/test.asc] ${archive.url} bookworm main\ndeb [signed-by=/usr/share/keyrings/test.asc] ${archive.url} bookworm-security main\n`,
    );
    await archive.publish({ suite: "trixie", version: "13.1", packages: stanza("app", { Version: "2" }) }, key);
    await archive.publish(
      { suite: "trixie-security", label: "Debian-Security", packages: stanza("app", { Version: "3" }) },
      key,
    );
    const opened = await open({ suite: "trixie" });
    expect(opened.codename).toBe("trixie");
    expect(opened.find("app")?.version).toBe("3");
  });

  it("leaves out archives of others, backports and unsupported schemes, and says so", async () => {
    write(
      "etc/apt/sources.list",
      `deb [signed-by=/usr/share/keyrings/test.asc] ${archive.url} bookworm main\n` +
        `deb [signed-by=/usr/share/keyrings/test.asc] ${archive.url} vendor main\n` +
        `deb ${archive.url} bookworm-backports main\ndeb cdrom:[x]/ bookworm main\n`,
    );
    await archive.publish(main, key);
    await archive.publish(
      { suite: "vendor", origin: "Vendor", label: "Vendor", packages: stanza("libz1", { Version: "99" }) },
      key,
    );
    expect((await open()).find("libz1")?.version).toBe("1.0-1");
    const warnings = events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
    expect(warnings.some((message) => message.includes("Vendor / Vendor"))).toBe(true);
    expect(warnings.some((message) => message.includes("cdrom:"))).toBe(true);
  });

  it("says which platform an archive lacks", async () => {
    await archive.publish(main, key);
    const error = await failure(open({ platform: { os: "linux", architecture: "arm64" } }));
    expect(error.code).toBe("SHEAF_DEB_INDEX");
    expect(error.message).toContain("arm64");
  });

  it("keeps to the newer index when a mirror falls back, and to the old one when it is away", async () => {
    await archive.publish(main, key);
    await open();
    await archive.publish(
      { ...main, date: "Fri, 20 Nov 2026 00:00:00 UTC", packages: stanza("libz1", { Version: "0.9" }) },
      key,
    );
    expect((await open({ refresh: true })).find("libz1")?.version).toBe("1.0-1");
  });
});

describe("an archive that must not be trusted", () => {
  it("is refused unsigned", async () => {
    await archive.publish(main);
    const error = await failure(open());
    expect(error.code).toBe("SHEAF_DEB_SIGNATURE");
    expect(error.message).toContain("InRelease is not signed");
  });

  it("is refused when a stranger signed it, with the keyring named", async () => {
    await archive.publish(main, stranger);
    const error = await failure(open());
    expect(error.code).toBe("SHEAF_DEB_SIGNATURE");
    expect(error.details.find(([label]) => label === "keyrings")?.[1]).toContain("test.asc");
    expect(error.hints.join()).toContain("keyring");
  });

  it("is refused when its keyring is missing", async () => {
    await archive.publish(main, key);
    fs.rmSync(path.join(root, "usr/share/keyrings/test.asc"));
    expect((await failure(open())).code).toBe("SHEAF_DEB_SIGNATURE");
  });

  it("is refused when the signed text was changed, or cut short", async () => {
    await archive.publish(main, key);
    const name = "/debian/dists/bookworm/InRelease";
    const signed = String(archive.files.get(name));
    archive.files.set(name, Buffer.from(signed.replace("12.15", "12.16")));
    expect((await failure(open())).code).toBe("SHEAF_DEB_SIGNATURE");
    archive.files.set(name, Buffer.from(signed.slice(0, signed.length / 2)));
    expect((await failure(open())).code).toBe("SHEAF_DEB_SIGNATURE");
  });

  it("reads nothing that stands around the signed text", async () => {
    await archive.publish(main, key);
    const name = "/debian/dists/bookworm/InRelease";
    archive.files.set(
      name,
      Buffer.concat([archive.files.get(name) ?? Buffer.alloc(0), Buffer.from("\nOrigin: Evil\nVersion: 6.66\n")]),
    );
    const outcome = await open().then(
      (opened) => opened.version,
      (error: SheafError) => error.code,
    );
    expect(["12.15", "SHEAF_DEB_SIGNATURE"]).toContain(outcome);
  });

  it("is refused when it has expired, unless the source says that this is meant", async () => {
    await archive.publish({ ...main, validUntil: "Sun, 22 Nov 2026 00:00:00 UTC" }, key);
    const error = await failure(open());
    expect(error.message).toContain("valid until");
    expect(error.code).toBe("SHEAF_DEB_EXPIRED");
    expect(error.message).toContain("2026-11-22");
    write(
      "etc/apt/sources.list",
      `deb [signed-by=/usr/share/keyrings/test.asc check-valid-until=no] ${archive.url} bookworm main\n`,
    );
    expect((await open()).version).toBe("12.15");
  });

  it("is refused when an index does not have its hash", async () => {
    await archive.publish(main, key);
    for (const name of archive.files.keys())
      if (/Packages|by-hash/.test(name))
        archive.files.set(name, Buffer.from(archive.files.get(name) ?? []).fill(1, 20, 40));
    expect(["SHEAF_HASH_MISMATCH", "SHEAF_FETCH"]).toContain((await failure(open())).code);
  });

  it("is refused when it is not there", async () => {
    const error = await failure(open());
    expect(error.code).toBe("SHEAF_DEB_INDEX");
    expect(error.message).toContain("404");
  });
});

describe("whoHas", () => {
  const contents = [
    "usr/lib/x86_64-linux-gnu/libGL.so.1    libs/libgl1",
    "usr/lib/x86_64-linux-gnu/libGL.so.1    x11/primus-libs",
    "usr/lib/primus/libGL.so.1              x11/other-libs",
    "usr/lib/x86_64-linux-gnu/libpq.so.5    libs/libpq5,libs/libpq-dev",
    "usr/x86_64-linux-gnux32/lib/libgomp.so.1 libs/libgomp1-x32-cross",
    "usr/lib/x86_64-linux-gnu/libgomp.so.1  libs/libgomp1",
    "usr/share/doc/libpq.so.5/readme        doc/libpq-doc",
    "",
  ].join("\n");
  const names = ["libgl1", "primus-libs", "other-libs", "libpq5", "libpq-dev", "libgomp1", "libgomp1-x32-cross"];

  it("ranks packages by the loader's folders and their names, and remembers", async () => {
    await archive.publish({ ...main, packages: names.map((name) => stanza(name)).join(""), contents }, key);
    const asked = ["libGL.so.1", "libpq.so.5", "libgomp.so.1", "libnone.so.9"];
    const answers = await (await open()).whoHas(asked);
    expect([...answers]).toEqual([
      ["libGL.so.1", ["libgl1", "primus-libs", "other-libs"]],
      ["libgomp.so.1", ["libgomp1"]],
      ["libpq.so.5", ["libpq5"]],
    ]);
    const requests = archive.requests.length;
    expect(await (await open()).whoHas(asked)).toEqual(answers);
    expect(archive.requests.length).toBe(requests);
  });
});

describe("Debian's own Python", () => {
  it("is found with its parts and layout", async () => {
    const python = { Version: "3.13.5-2+deb13u1" };
    const packages =
      stanza("python3", { Version: "3.13.5-1", Depends: "python3.13 (>= 3.13.5-1~)" }) +
      ["python3.13", "python3.13-minimal", "libpython3.13-stdlib"].map((name) => stanza(name, python)).join("");
    await archive.publish({ ...main, packages }, key);
    const opened = await open();
    expect(debianPythonVersion(opened)).toBe("3.13.5");
    expect(debianPythonPackages(opened, "3.13")).toMatchObject({
      packages: ["libpython3.13-stdlib", "python3.13", "python3.13-minimal"],
      layout: {
        executable: "/usr/bin/python3.13",
        purelib: "usr/local/lib/python3.13/dist-packages",
        cacheTag: "cpython-313",
      },
    });
    expect(debianPythonPackages(opened, "3.12")).toBeUndefined();
  });
});
