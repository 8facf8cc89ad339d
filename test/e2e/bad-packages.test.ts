import { beforeAll, describe, expect, it } from "vitest";

import { buildWheel, buildZip } from "../wheel/build-wheel.ts";
import { buildJson, builtExample } from "./example.ts";
import { framework, projectOn, type ServedWheel, serveWheels } from "./local-index.ts";
import { type Refusal, refused } from "./refusal.ts";
import { copyStore, filesBelow, sheaf, temporaryFolder, writeFiles } from "./sheaf.ts";

beforeAll(() => builtExample(), 300_000);

/** Builds a project that needs `wheels`; the build has to be refused. The store must be none the worse. */
async function refusedWith(
  wheels: readonly ServedWheel[],
  words: string[] = [],
): Promise<Refusal & { asked: string[] }> {
  const all = [...framework(), ...wheels];
  const { env, requests } = await serveWheels(all);
  const store = copyStore();
  const folder = writeFiles(temporaryFolder(), projectOn(all));
  const refusal = await refused(["build", folder, ...words], { env, store });
  expect(filesBelow(`${store}/tmp`)).toEqual([]);
  return { ...refusal, asked: requests };
}

describe("downloads that go wrong", () => {
  it("have the wrong hash", { timeout: 60_000 }, async () => {
    const wheel = {
      ...buildWheel({ name: "demo" }),
      sent: buildWheel({ name: "demo", files: { "evil.py": "" } }).bytes,
    };
    const sized = { ...wheel, sent: Buffer.concat([wheel.bytes.subarray(0, -1), Buffer.from("!")]) };
    const { codes, text } = await refusedWith([sized]);
    expect(codes).toEqual(["SHEAF_HASH_MISMATCH"]);
    expect(text).toMatch(
      /demo 1\.0 does not have the hash[\s\S]*promised +sha256:[0-9a-f]{64}[\s\S]*received +sha256:/,
    );
    expect((await refusedWith([wheel])).codes[0]).toMatch(/^SHEAF_(HASH_MISMATCH|FETCH)$/);
  });

  it("are cut short once: tried again, and fine", { timeout: 60_000 }, async () => {
    const all = [...framework(), { ...buildWheel({ name: "demo" }), trouble: { kind: "cut", times: 1 } as const }];
    const { env, requests } = await serveWheels(all);
    const folder = writeFiles(temporaryFolder(), projectOn(all));
    const outcome = await sheaf(["build", folder], { env, store: copyStore() });
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(outcome.stderr).toMatch(/trying again: demo 1\.0/);
    expect(requests.filter((name) => name.startsWith("demo"))).toHaveLength(2);
  });

  it.each(["cut", "fail"] as const)("always %s: tried four times, then named", { timeout: 60_000 }, async (kind) => {
    const { codes, text, asked } = await refusedWith([{ ...buildWheel({ name: "demo" }), trouble: { kind } }]);
    expect(codes).toEqual(["SHEAF_FETCH"]);
    expect(text).toMatch(/demo 1\.0 could not be fetched, tried 4 times/);
    expect(asked.filter((name) => name.startsWith("demo"))).toHaveLength(4);
  });

  it("are not there at all", async () => {
    const wheels = [...framework(), buildWheel({ name: "demo" })];
    const { env } = await serveWheels(framework());
    const { codes, text } = await refused(["plan", writeFiles(temporaryFolder(), projectOn(wheels))], { env });
    expect(codes).toEqual(["SHEAF_NOT_FOUND"]);
    expect(text).toContain("demo");
  });

  it("are for another platform: the tags that are there", { timeout: 60_000 }, async () => {
    const wheel = buildWheel({ name: "demo" });
    const { codes, text } = await refusedWith([{ ...wheel, filename: "demo-1.0-cp39-cp39-win_amd64.whl" }]);
    expect(codes).toEqual(["SHEAF_NO_WHEEL"]);
    expect(text).toMatch(/demo 1\.0 has no wheel for CPython 3\.1\d on linux/);
    expect(text).toMatch(/cp39.*win_amd64/);
  });
});

describe("wheels that are not what a wheel should be", () => {
  const hostile: [string, ServedWheel, RegExp][] = [
    [
      "a path with ..",
      buildWheel({ name: "demo", files: { "../../etc/cron.d/x": "x" } }),
      /\.\.\/\.\.\/etc\/cron\.d\/x/,
    ],
    ["an absolute path", buildWheel({ name: "demo", files: { "/etc/cron.d/x": "x" } }), /\/etc\/cron\.d\/x/],
    [
      "a symlink",
      buildWheel({
        name: "demo",
        extra: [{ path: "demo/link", bytes: Buffer.from("/etc/passwd"), mode: 0o120777 }],
      }),
      /demo\/link/,
    ],
    [
      "one entry twice",
      buildWheel({
        name: "demo",
        files: { "demo/a.py": "a" },
        extra: [{ path: "demo/a.py", bytes: Buffer.from("b") }],
      }),
      /demo\/a\.py/,
    ],
    [
      "a RECORD with another hash",
      buildWheel({
        name: "demo",
        files: { "demo/a.py": "a" },
        record: (rows) => rows.map((row) => row.replace(/^(demo\/a\.py,sha256=).{43}/, `$1${"A".repeat(43)}`)),
      }),
      /RECORD[\s\S]*demo\/a\.py|demo\/a\.py[\s\S]*RECORD/,
    ],
    ["no RECORD", buildWheel({ name: "demo", record: () => undefined }), /RECORD/],
    [
      "more bytes than it tells",
      buildWheel({
        name: "demo",
        extra: [{ path: "demo/bomb", bytes: Buffer.alloc(50_000_000), declaredSize: 10 }],
      }),
      /demo\/bomb|demo-1\.0/,
    ],
    ["no archive", { filename: "demo-1.0-py3-none-any.whl", bytes: Buffer.from("<html>login</html>") }, /demo-1\.0/],
    [
      "an archive without metadata",
      { filename: "demo-1.0-py3-none-any.whl", bytes: buildZip([{ path: "demo.py" }]) },
      /dist-info/,
    ],
  ];

  it.each(hostile)("%s", { timeout: 60_000 }, async (_name, wheel, says) => {
    const { codes, text } = await refusedWith([wheel]);
    expect(codes).toEqual([expect.stringMatching(/^SHEAF_(WHEEL|WHEEL_RECORD|ZIP|COMPRESSION)$/)]);
    expect(text).toMatch(says);
    expect(text, "it names the wheel").toMatch(/demo/);
  });

  it("two distributions with one file and different contents", { timeout: 60_000 }, async () => {
    const wheels = ["alpha", "beta"].map((name) =>
      buildWheel({ name, files: { "shared/tool.py": `# ${name}\n`, [`${name}.py`]: "" } }),
    );
    const { codes, text } = await refusedWith(wheels);
    expect(codes).toEqual(["SHEAF_COLLISION"]);
    expect(text).toMatch(/alpha and beta write the same file[\s\S]*shared\/tool\.py[\s\S]*keep-files-of/);
  });

  it("two distributions with one file and the same contents are fine", { timeout: 60_000 }, async () => {
    const wheels = ["alpha", "beta"].map((name) => buildWheel({ name, files: { "shared/__init__.py": "" } }));
    const all = [...framework(), ...wheels];
    const { env } = await serveWheels(all);
    const folder = writeFiles(temporaryFolder(), projectOn(all));
    const image = await buildJson([folder], { env, store: copyStore() });
    expect(image.layers.length).toBeGreaterThan(3);
  });
});
