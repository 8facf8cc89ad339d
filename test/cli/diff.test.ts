import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import type { ImageDiff } from "../../src/diff/image-diff.ts";
import { diff } from "../../src/cli/commands/diff.ts";
import { CommandContext } from "../../src/cli/context.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { styleFor } from "../../src/report/text.ts";
import { temporary } from "../archive/oracle.ts";
import { installed } from "../ingest/base-builder.ts";
import { d, f, imageOf, layerOf } from "../oci/images.ts";

const root = "usr/lib/python3/dist-packages";
const shared = layerOf([d("etc"), f("etc/os-release", "ID=debian\n")]);
const before = imageOf([shared, layerOf([...installed("one 1.0", ["one.py"], root), f("app/\u001b[31mx")])]);
const after = imageOf([shared, layerOf([...installed("one 1.1", ["one.py"], root), f("app/y", "y".repeat(5000))])], {
  config: { os: "linux", architecture: "amd64", config: { User: "10001", Env: [`LONG=${"x".repeat(300)}`] } },
});

async function run(names: string[], options: Record<string, unknown> = {}) {
  const folder = temporary();
  await writeLayout(path.join(folder, "a"), before);
  await writeLayout(path.join(folder, "b"), after);
  const context = new CommandContext({
    cacheDir: path.join(folder, "store"),
    offline: true,
    quiet: true,
    signal: new AbortController().signal,
  });
  onTestFinished(() => context.close());
  const words = names.map((name) => path.join(folder, name));
  const result = await diff.run({ arguments: words, rest: [], options }, context);
  const textAt = (width: number) => result.text?.(styleFor({ isTTY: false }), width) ?? "";
  return { ...result, json: result.json as ImageDiff, text: textAt(80), narrow: textAt(60) };
}

describe("sheaf diff", () => {
  it("ends with 0 for the same image and 1 for another", async () => {
    expect((await run(["a", "a"])).exitCode).toBe(0);
    expect((await run(["a", "b"])).exitCode).toBe(1);
    expect((await run(["a", "b"], { only: ["debian"] })).exitCode).toBe(0);
    expect((await run(["a", "b"], { only: ["debian,layers"] })).exitCode).toBe(1);
  });

  it("shows what differs, in lines that fit the terminal and can't drive it", async () => {
    const { text, narrow } = await run(["a", "b"]);
    expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect(narrow.split("\n").filter((line) => line.length > 60)).toEqual([]);
    expect(text).not.toContain("\u001b");
    expect(text).toMatch(/^distributions {2}1 changed$/m);
    expect(text).toMatch(/^ {2}~ {2}one {2}1\.0 → 1\.1$/m);
    expect(text).toMatch(/^ {2}\+ {2}user {6}10001$/m);
    expect(text).toMatch(/^layers {2}1 shared, .* · 1 only in b · 1 only in a$/m);
    expect(text).toMatch(/app\/ of no package +\+5\.0 kB  1 only in b, 1 only in a/);
  });

  it("lists files with --files, and only what was asked for with --only", async () => {
    const { text, json } = await run(["a", "b"], { files: true, only: ["files"] });
    expect(text).toMatch(/^ {2}\+ {2}app\/y +5\.0 kB$/m);
    expect(text).not.toContain("distributions");
    expect(Object.keys(json)).toEqual(["a", "b", "equal", "compared", "files"]);
  });

  it("reads no layer when none is asked for", async () => {
    const { json } = await run(["a", "b"], { only: ["config", "layers"] });
    expect(json.a.unpacked).toBeUndefined();
    expect(json.config?.map(({ field }) => field)).toContain("user");
  });

  it("refuses a section that there is not, and suggests one", async () => {
    await expect(run(["a", "b"], { only: ["file"] })).rejects.toMatchObject({
      code: "SHEAF_OPTION",
      hints: ["did you mean files?", expect.anything()],
    });
  });

  it("ends with 2 when an image is not there", async () => {
    await expect(run(["a", "gone.tar"])).rejects.toMatchObject({ code: "SHEAF_NO_IMAGE", exitCode: 2 });
  });
});
