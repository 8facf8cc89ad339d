import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { writeGenerated } from "../../src/cli/write-generated.ts";
import { withHeader } from "../../src/emit/generated-file.ts";
import { styleFor } from "../../src/report/text.ts";
import type { CommandResult } from "../../src/cli/command.ts";

let folder = "";
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-generated-"));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const at = (name: string): string => path.join(folder, name);
const file = (name: string, body: string) => ({ path: at(name), text: withHeader("sheaf test", body) });
const read = (name: string): string => fs.readFileSync(at(name), "utf8");
const textOf = (result: CommandResult): string => result.text?.(styleFor(process.stdout), 80) ?? "";
const write = { check: false, force: false };

it("writes what is not there and what Sheaf wrote, and says what stayed", async () => {
  await writeGenerated([file("a", "1\n"), file("sub/b", "1\n")], write);
  const again = await writeGenerated([file("a", "2\n"), file("sub/b", "1\n")], write);
  expect(read("a")).toContain("2\n");
  expect(again.json).toMatchObject({
    written: [expect.stringMatching(/a$/)],
    unchanged: [expect.stringMatching(/b$/)],
  });
});

it("writes nothing at all when one file is a person's", async () => {
  fs.writeFileSync(at("b"), "mine\n");
  await expect(writeGenerated([file("a", "1\n"), file("b", "1\n")], write)).rejects.toMatchObject({
    code: "SHEAF_NOT_OURS",
    exitCode: 2,
  });
  expect(fs.existsSync(at("a"))).toBe(false);
  expect(read("b")).toBe("mine\n");
});

it("keeps what was changed by hand, unless it is forced", async () => {
  await writeGenerated([file("a", "1\n")], write);
  fs.appendFileSync(at("a"), "mine\n");
  await expect(writeGenerated([file("a", "2\n")], write)).rejects.toMatchObject({ code: "SHEAF_EDITED", exitCode: 2 });
  expect(read("a")).toContain("mine");
  await writeGenerated([file("a", "2\n")], { check: false, force: true });
  expect(read("a")).not.toContain("mine");
});

it("accepts a file that is as planned, with whatever line endings", async () => {
  await writeGenerated([file("a", "1\n")], write);
  fs.writeFileSync(at("a"), read("a").replaceAll("\n", "\r\n"));
  const result = await writeGenerated([file("a", "1\n")], write);
  expect(result.json).toMatchObject({ written: [] });
});

it("checks: 0 as planned, 1 with a diff, 2 for a file that is not ours; and writes nothing", async () => {
  const check = { check: true, force: false };
  const missing = await writeGenerated([file("a", "1\n")], check);
  expect(missing.exitCode).toBe(1);
  expect(textOf(missing)).toContain("--- /dev/null");
  expect(fs.existsSync(at("a"))).toBe(false);
  await writeGenerated([file("a", "1\n")], write);
  expect((await writeGenerated([file("a", "1\n")], check)).exitCode).toBe(0);
  const drifted = await writeGenerated([file("a", "2\n")], check);
  expect(drifted.exitCode).toBe(1);
  expect(textOf(drifted)).toMatch(/^-1\n[^]*^\+2$/m);
  fs.appendFileSync(at("a"), "mine\n");
  expect(textOf(await writeGenerated([file("a", "1\n")], check))).toMatch(/^-mine$/m);
  fs.writeFileSync(at("a"), "mine\n");
  await expect(writeGenerated([file("a", "1\n")], check)).rejects.toMatchObject({ code: "SHEAF_NOT_OURS" });
});

it("removes what it wrote once and writes no more, and nothing else", async () => {
  const owned = { folder, command: "sheaf test" };
  await writeGenerated([file("a", "1\n"), file("old", "1\n")], { ...write, owned });
  fs.writeFileSync(at("mine"), "mine\n");
  fs.writeFileSync(at("other"), withHeader("sheaf other", "1\n"));
  const check = await writeGenerated([file("a", "1\n")], { check: true, force: false, owned });
  expect(check.exitCode).toBe(1);
  expect(check.json).toMatchObject({ drifted: [expect.stringMatching(/old$/)] });
  await writeGenerated([file("a", "1\n")], { ...write, owned });
  expect(fs.readdirSync(folder).toSorted()).toEqual(["a", "mine", "other"]);
});

it("follows a link and leaves it one", async () => {
  fs.mkdirSync(at("elsewhere"));
  await writeGenerated([file("elsewhere/a", "1\n")], write);
  fs.symlinkSync("elsewhere/a", at("a"));
  await writeGenerated([file("a", "2\n")], write);
  expect(fs.lstatSync(at("a")).isSymbolicLink()).toBe(true);
  expect(read("elsewhere/a")).toContain("2\n");
});

it("says so when a folder stands in its place", async () => {
  fs.mkdirSync(at("a"));
  await expect(writeGenerated([file("a", "1\n")], write)).rejects.toMatchObject({ code: "SHEAF_OUTPUT" });
});
