import { describe, expect, it } from "vitest";

import { compactIndex, openIndexes } from "../../src/debian/package-index.ts";
import { resolvePackages, type ResolveOptions } from "../../src/debian/resolve.ts";
import type { SheafError } from "../../src/errors.ts";
import { stanza } from "./builders.ts";

function resolve(packages: string[], names: string[], options: Partial<ResolveOptions> = {}): string[] {
  const lookup = openIndexes([
    { bytes: compactIndex(Buffer.from(packages.join(""))), uri: "http://archive.example.test" },
  ]);
  return resolvePackages(names, { lookup, archive: "Test", ...options }).map((pkg) => `${pkg.name}=${pkg.version}`);
}

function failure(action: () => unknown): SheafError {
  try {
    action();
  } catch (error) {
    return error as SheafError;
  }
  return expect.fail("it should have failed");
}

describe("resolvePackages", () => {
  it("takes the first alternative, but rather one that is chosen already", () => {
    const all = [
      stanza("app", { Depends: "a | b" }),
      stanza("a"),
      stanza("b"),
      stanza("c", { Depends: "x | b" }),
      stanza("x"),
    ];
    expect(resolve(all, ["app"])).toEqual(["a=1.0-1", "app=1.0-1"]);
    expect(resolve(all, ["app", "b"])).toEqual(["app=1.0-1", "b=1.0-1"]);
  });

  it("takes a real package before a virtual one, and versions of Provides into account", () => {
    const all = [
      stanza("app", { Depends: "mta (>= 2)" }),
      stanza("old", { Provides: "mta" }),
      stanza("new", { Provides: "mta (= 2.1)" }),
      stanza("plain", { Depends: "mta" }),
    ];
    expect(resolve(all, ["app"])).toEqual(["app=1.0-1", "new=1.0-1"]);
    expect(resolve([...all, stanza("mta", { Version: "1" })], ["plain"])).toEqual(["mta=1", "plain=1.0-1"]);
  });

  it("passes over an alternative that conflicts with what is chosen", () => {
    const all = [stanza("app", { Depends: "k, a | b" }), stanza("k"), stanza("a", { Conflicts: "k" }), stanza("b")];
    expect(resolve(all, ["app"])).toEqual(["app=1.0-1", "b=1.0-1", "k=1.0-1"]);
  });

  it("goes round circles, and reads qualifiers", () => {
    expect(resolve([stanza("a", { Depends: "b:any" }), stanza("b", { "Pre-Depends": "a (= 1.0-1)" })], ["a"])).toEqual([
      "a=1.0-1",
      "b=1.0-1",
    ]);
  });

  it("takes a newer version than is present only where one is needed", () => {
    const installed = openIndexes([{ bytes: compactIndex(Buffer.from([stanza("z"), stanza("y")].join(""))), uri: "" }]);
    const present = [...installed.versions("z"), ...installed.versions("y")];
    const all = [
      stanza("z", { Version: "2", Depends: "new" }),
      stanza("y", { Version: "2" }),
      stanza("new"),
      stanza("dev", { Depends: "z (= 2), y" }),
      stanza("old", { Depends: "z (<< 1)" }),
    ];
    expect(resolve(all, ["dev"], { present })).toEqual(["dev=1.0-1", "new=1.0-1", "z=2"]);
    expect(failure(() => resolve(all, ["old"], { present })).code).toBe("SHEAF_DEB_DEPENDS");
  });

  it("leaves out what is present, what only scripts use, and the needs of data", () => {
    const all = [
      stanza("app", { Depends: "debconf (>= 0.5) | debconf-2.0, z, data" }),
      stanza("debconf"),
      stanza("z"),
      stanza("data", { Depends: "openssl" }),
      stanza("openssl"),
    ];
    const lookup = openIndexes([{ bytes: compactIndex(Buffer.from(all.join(""))), uri: "" }]);
    const present = lookup.versions("z");
    const options = { present, withoutNames: new Set(["debconf"]), withoutDependencies: new Set(["data"]) };
    expect(resolve(all, ["app"], options)).toEqual(["app=1.0-1", "data=1.0-1"]);
    expect(resolve([...all, stanza("debconf-utils", { Depends: "debconf" })], ["debconf-utils"], options)).toContain(
      "debconf=1.0-1",
    );
  });

  it("names the chain of who wants what is missing", () => {
    const all = [
      stanza("app", { Depends: "mid" }),
      stanza("mid", { Depends: "gone (>= 2)" }),
      stanza("gone", { Version: "1" }),
    ];
    const error = failure(() => resolve(all, ["app"]));
    expect(error.code).toBe("SHEAF_DEB_DEPENDS");
    expect(error.message).toContain("mid needs gone (>= 2)");
    expect(error.details).toContainEqual(["wanted by", "mid ← app"]);
  });

  it("refuses what excludes each other, with both chains", () => {
    const all = [
      stanza("one", { Depends: "x" }),
      stanza("x", { Breaks: "y (<< 2)" }),
      stanza("two", { Depends: "y" }),
      stanza("y"),
    ];
    const error = failure(() => resolve(all, ["one", "two"]));
    expect(["SHEAF_DEB_CONFLICT", "SHEAF_DEB_DEPENDS"]).toContain(error.code);
    const direct = failure(() => resolve(all, ["x", "y"]));
    expect(direct.code).toBe("SHEAF_DEB_CONFLICT");
    expect(direct.message).toContain("x 1.0-1 breaks y (<< 2)");
  });

  it("lets a package conflict with what it provides itself", () => {
    expect(resolve([stanza("a", { Provides: "v", Conflicts: "v" })], ["a"])).toEqual(["a=1.0-1"]);
  });

  it("suggests names, and providers of a virtual one", () => {
    const all = [stanza("libssl3t64"), stanza("mawk", { Provides: "awk" }), stanza("gawk", { Provides: "awk" })];
    expect(failure(() => resolve(all, ["libssl1"])).hints.join()).toContain("libssl3t64");
    const virtual = failure(() => resolve(all, ["awk"]));
    expect(virtual.details).toContainEqual(["provided by", "gawk, mawk"]);
  });

  it("takes an exact version on request", () => {
    const all = [stanza("a", { Version: "2" }), stanza("a", { Version: "1" })];
    expect(resolve(all, ["a"])).toEqual(["a=2"]);
    expect(resolve(all, ["a=1"])).toEqual(["a=1"]);
    expect(failure(() => resolve(all, ["a=9"])).details).toContainEqual(["versions", "2, 1"]);
  });

  it("reads a Packages file whose last stanza has no end, and skips broken ones", () => {
    const text = `${stanza("a")}Package: broken\n\n${stanza("b").trimEnd()}`;
    expect(resolve([text], ["a", "b"])).toEqual(["a=1.0-1", "b=1.0-1"]);
  });
});
