import * as fs from "node:fs";
import * as path from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import type { InterpreterChoice } from "../../src/interpreter/choose.ts";
import { interpreterKey } from "../../src/interpreter/collect.ts";
import { interpreterFingerprint } from "../../src/interpreter/fingerprint.ts";
import { emptyLab, fakeInstallation, type Lab } from "./installations.ts";

let lab: Lab;
let choice: InterpreterChoice;
beforeEach(() => {
  lab = emptyLab();
  const prefix = fakeInstallation(path.join(lab.root, "python"), { version: "3.12.4" });
  choice = { kind: "host", version: "3.12.4", minor: "3.12", prefix, reason: "", tried: [] };
});
afterEach(() => lab.dispose());

function inStandardLibrary(...names: string[]): string {
  return path.join(choice.prefix ?? "", "lib", "python3.12", ...names);
}

it.each([
  ["a module is added", () => fs.writeFileSync(inStandardLibrary("added.py"), "")],
  ["an extension module is replaced", () => fs.rmSync(inStandardLibrary("lib-dynload", "zlib.x.so"))],
  ["the executable is replaced", () => fs.appendFileSync(path.join(choice.prefix ?? "", "bin", "python3.12"), "\0")],
  [
    "a shared library appears",
    () => fs.writeFileSync(path.join(choice.prefix ?? "", "lib", "libpython3.12.so.1.0"), ""),
  ],
])("changes when %s", (_, change) => {
  const before = interpreterFingerprint(choice);
  expect(interpreterFingerprint(choice)).toBe(before);
  change();
  expect(interpreterFingerprint(choice)).not.toBe(before);
});

it("doesn't notice what packages and bytecode add", () => {
  fs.mkdirSync(inStandardLibrary("site-packages"));
  fs.mkdirSync(inStandardLibrary("__pycache__"));
  const before = interpreterFingerprint(choice);
  fs.writeFileSync(inStandardLibrary("site-packages", "pip.py"), "");
  fs.writeFileSync(inStandardLibrary("__pycache__", "os.cpython-312.pyc"), "");
  expect(interpreterFingerprint(choice)).toBe(before);
});

it("tells strip and keep apart in the key", () => {
  const options = [{}, { strip: false }, { keep: ["curses"] }, { keep: ["curses", "tkinter"] }];
  expect(new Set(options.map((one) => interpreterKey(choice, one))).size).toBe(4);
  expect(interpreterKey(choice, { keep: ["a", "b"] })).toBe(interpreterKey(choice, { keep: ["b", "a"] }));
});
