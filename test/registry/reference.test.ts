import { describe, expect, it } from "vitest";

import { apiHost, formatReference, isLoopback, parseRegistryReference } from "../../src/registry/reference.ts";

const digest = `sha256:${"ab".repeat(32)}`;

describe("parseRegistryReference", () => {
  it.each([
    ["python", "docker.io/library/python:latest", false],
    ["python:3.12-slim", "docker.io/library/python:3.12-slim", false],
    ["team/app", "docker.io/team/app:latest", false],
    ["docker.io/python:3", "docker.io/library/python:3", true],
    ["localhost/app:1", "localhost/app:1", true],
    ["localhost:5000/app", "localhost:5000/app:latest", true],
    ["registry.example.test/a/b/c:1.0", "registry.example.test/a/b/c:1.0", true],
    ["127.0.0.1:5000/team/app:v1_2.3-x", "127.0.0.1:5000/team/app:v1_2.3-x", true],
    ["[::1]:5000/app", "[::1]:5000/app:latest", true],
    [`registry.example.test/app@${digest}`, `registry.example.test/app@${digest}`, true],
    [`registry.example.test/app:1@${digest}`, `registry.example.test/app:1@${digest}`, true],
    ["Upper/app", "Upper/app:latest", true],
    ["a__b/c--d/e.f", "docker.io/a__b/c--d/e.f:latest", false],
  ])("reads %s", (text, whole, qualified) => {
    const reference = parseRegistryReference(text);
    expect(reference && formatReference(reference)).toBe(whole);
    expect(reference?.qualified).toBe(qualified);
  });

  it.each([
    "",
    "UPPER",
    "team/App",
    "a//b",
    "/a",
    "a/",
    "a:",
    "a b",
    "a:-x",
    "-a",
    "a..b",
    "a___b",
    "../a",
    "registry.example.test:99999/a",
    "registry.example.test:5000:1/a",
    "-x.test/a",
    "app@sha256:abc",
    `app@sha512:${"ab".repeat(64)}`,
    `${"a/".repeat(200)}a`,
    `a:${"b".repeat(129)}`,
    "user@host.test/app",
    "http://host.test/app",
  ])("refuses %s", (text) => {
    expect(parseRegistryReference(text)).toBeUndefined();
  });
});

it("knows this machine's hosts, and no other's", () => {
  expect(["localhost", "localhost:5000", "127.0.0.1:1", "127.1.2.3", "[::1]:5000"].every(isLoopback)).toBe(true);
  expect(
    ["localhost.example.test", "127.0.0.1.example.test", "10.0.0.1", "x127.0.0.1", "[::2]", "localhost:x"].some(
      isLoopback,
    ),
  ).toBe(false);
});

it("asks another host than its name's for Docker Hub alone", () => {
  expect(apiHost("registry.example.test:5000")).toBe("registry.example.test:5000");
  expect(apiHost("docker.io")).not.toBe("docker.io");
});
