import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { repository } from "./sheaf.ts";

/** Every tracked text file: path → content. */
const tracked = new Map(
  listed()
    .filter((file) => fs.existsSync(path.join(repository, file)))
    .map((file): [string, Buffer] => [file, fs.readFileSync(path.join(repository, file))])
    .filter(([, bytes]) => !bytes.includes(0))
    .map(([file, bytes]): [string, string] => [file, bytes.toString("utf8")]),
);

function listed(): string[] {
  try {
    return execFileSync("git", ["ls-files", "-z"], { cwd: repository, encoding: "utf8" }).split("\0").filter(Boolean);
  } catch {
    return [];
  }
}

/** Lines that match, as `path:line: text`. */
function matches(pattern: RegExp, files = /./): string[] {
  return [...tracked]
    .filter(([file]) => files.test(file))
    .flatMap(([file, text]) =>
      text
        .split("\n")
        .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 120)}`] : [])),
    );
}

/** Hosts of the usual registries, put together here so that this file holds none, and those of this machine. */
function registryHosts(): string[] {
  const usual = [
    ["pypi", "org"],
    ["files.pythonhosted", "org"],
    ["registry.npmjs", "org"],
    ["registry.yarnpkg", "com"],
    ["static.crates", "io"],
    ["index.crates", "io"],
    ["proxy.golang", "org"],
    ["sum.golang", "org"],
    ["repo1.maven", "org"],
    ["repo.maven.apache", "org"],
    ["deb.debian", "org"],
    ["security.debian", "org"],
    ["archive.ubuntu", "com"],
    ["security.ubuntu", "com"],
    ["ports.ubuntu", "com"],
  ].map((parts) => parts.join("."));
  return [...new Set([...usual, ...configuredHosts()])];
}

function configuredHosts(): string[] {
  const ask = (program: string, ...words: string[]) => {
    try {
      return execFileSync(program, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 30_000 });
    } catch {
      return "";
    }
  };
  const apt = ["/etc/apt/sources.list", ...filesOf("/etc/apt/sources.list.d")].map((file) =>
    fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "",
  );
  const told = [
    ask("npm", "config", "get", "registry"),
    ask("pip", "config", "list"),
    ask(
      "python3",
      "-c",
      "from pip._internal.models.index import PyPI; print(PyPI.simple_url, PyPI.file_storage_domain)",
    ),
    ...apt,
  ].join("\n");
  return [...told.matchAll(/https?:\/\/(?:[^/@\s]*@)?([a-z0-9.-]+\.[a-z]+)/gi)].map((match) => match[1] ?? "");
}

function filesOf(folder: string): string[] {
  return fs.existsSync(folder) ? fs.readdirSync(folder).map((name) => path.join(folder, name)) : [];
}

describe.skipIf(tracked.size === 0)("the tracked tree (needs git)", () => {
  it("is all there", () => {
    expect(tracked.size).toBeGreaterThan(200);
  });

  it("names no package registry", () => {
    const hosts = registryHosts();
    expect(hosts.length).toBeGreaterThan(10);
    expect(matches(new RegExp(hosts.map((host) => host.replaceAll(".", "\\.")).join("|"), "i"))).toEqual([]);
  });

  it("has no path of the machine that it was written on", () => {
    const home = new RegExp(`(^|[\\s"'\`=:(])/(root|work)/|/home/(?!app|user|sheaf|me\\b|\\$|\\.\\.\\.)[a-z]+/`);
    const found = matches(home, /^(src|bench|docs|examples|scripts|[^/]+$)/);
    // In a Dockerfile it is the container's.
    expect(found.filter((line) => !/^[^:]*Dockerfile[^:]*:/.test(line))).toEqual([]);
  });

  it("has locks without addresses", () => {
    expect(matches(/"resolved":/, /(^|\/)package-lock\.json$/)).toEqual([]);
    expect(matches(/https?:\/\//, /^(.*requirements[^/]*\/.*\.txt|.*\.lock)$/)).toEqual([]);
  });
});
