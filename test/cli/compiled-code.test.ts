import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { loadCompiled } from "../../src/cli/compiled-code.ts";

let folder: string;
let file: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-code-"));
  file = path.join(folder, "bundle.cjs");
  fs.writeFileSync(
    file,
    "exports.answer = (name) => { const os = require('node:os'); return `${name} of ${os.EOL.length} in ${__filename}`; };",
  );
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function answer(cache: string): string {
  const { exports, save } = loadCompiled({ file, cache });
  const said = (exports as { answer: (name: string) => string }).answer("one");
  save();
  return said;
}

describe("loadCompiled", () => {
  it("keeps compiled code, and runs the same with it", () => {
    const cache = path.join(folder, "code", "build-1");
    const first = answer(cache);
    expect(first).toBe(`one of 1 in ${file}`);
    const { ino, size } = fs.statSync(cache);
    expect(size).toBeGreaterThan(100);
    expect(answer(cache)).toBe(first);
    // Taken by V8, or it would have been written anew.
    expect(fs.statSync(cache).ino).toBe(ino);
  });

  it.each([
    ["damaged", (bytes: Buffer) => bytes.fill(7, bytes.length - 40)],
    ["cut off", (bytes: Buffer) => bytes.subarray(0, 60)],
    ["empty", () => Buffer.alloc(0)],
  ])("makes it anew when it is %s", (what, damage) => {
    const cache = path.join(folder, what, "build-1");
    const first = answer(cache);
    const whole = fs.readFileSync(cache);
    fs.writeFileSync(cache, damage(Buffer.from(whole)));
    expect(answer(cache)).toBe(first);
    expect(fs.readFileSync(cache).length).toBe(whole.length);
  });

  it("does without where nothing can be written", () => {
    const blocked = path.join(folder, "blocked");
    fs.writeFileSync(blocked, "a file, where a folder is wanted");
    expect(answer(path.join(blocked, "build-1"))).toContain("one of 1");
  });

  it("removes all but a few versions of a command, and leaves those of others", () => {
    const code = path.join(folder, "versions");
    const builds = Array.from({ length: 9 }, (_, index) => `build-${index}`);
    for (const [index, name] of ["plan-1", ...builds].entries()) {
      answer(path.join(code, name));
      fs.utimesSync(path.join(code, name), index, index);
    }
    expect(fs.readdirSync(code).toSorted()).toEqual([...builds.slice(3), "plan-1"]);
  });
});
