import { expect, it } from "vitest";

import { parseChallenges } from "../../src/registry/challenge.ts";

it.each([
  ["Basic", [{ scheme: "basic", parameters: {} }]],
  ['Basic realm="a \\"b\\""', [{ scheme: "basic", parameters: { realm: 'a "b"' } }]],
  [
    'Bearer realm="https://auth.example.test/token",service="registry.example.test",scope="repository:a/b:pull,push"',
    [
      {
        scheme: "bearer",
        parameters: {
          realm: "https://auth.example.test/token",
          service: "registry.example.test",
          scope: "repository:a/b:pull,push",
        },
      },
    ],
  ],
  [
    "Basic realm=x, BEARER Realm = y , service=z",
    [
      { scheme: "basic", parameters: { realm: "x" } },
      { scheme: "bearer", parameters: { realm: "y", service: "z" } },
    ],
  ],
  ["", []],
  [undefined, []],
  [', , "', []],
])("reads %j", (header, expected) => {
  const found = parseChallenges(header).map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }));
  expect(found).toEqual(expected);
});

it("reads a long header of nonsense in no time", () => {
  const started = performance.now();
  parseChallenges(`Bearer ${'a="'.repeat(100_000)}`);
  parseChallenges("a ".repeat(100_000));
  expect(performance.now() - started).toBeLessThan(500);
});
