import * as fs from "node:fs";
import * as path from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import type { InterpreterChoice } from "../../src/interpreter/choose.ts";
import { interpreterFingerprint } from "../../src/interpreter/fingerprint.ts";
import { knownInterpreter } from "../../src/interpreter/record.ts";
import { emptyLab, fakeInstallation, type Lab } from "./installations.ts";

let lab: Lab;
let choice: InterpreterChoice;
beforeEach(() => {
  lab = emptyLab();
  const prefix = fakeInstallation(path.join(lab.root, "python"), { version: "3.12.4" });
  fs.writeFileSync(path.join(prefix, "lib", "python3.12", "asyncio.py"), "# asyncio\n");
  // A program header table of no entries: readable as ELF, nothing to link.
  choice = { kind: "host", version: "3.12.4", minor: "3.12", prefix, reason: "", tried: [] };
});
afterEach(() => lab.dispose());

const standard = (...names: string[]) => path.join(choice.prefix ?? "", "lib", "python3.12", ...names);

it("keeps the facts, and reads the files only when their bytes are wanted", () => {
  const first = knownInterpreter(choice, lab.store);
  const file = first.facts.files.find((one) => one.path === "usr/local/lib/python3.12/asyncio.py");
  expect(file).toMatchObject({ type: "file", mode: 0o644, size: 10 });
  fs.appendFileSync(standard("asyncio.py"), "# an edit in place moves no folder's time\n");
  const second = knownInterpreter(choice, lab.store);
  expect(second.facts).toEqual(first.facts);
  expect(second.entries().map((entry) => entry.path)).toEqual(first.facts.files.map((one) => one.path));
});

it("reads again after an installation was replaced", () => {
  const before = interpreterFingerprint(choice);
  fs.writeFileSync(standard("added.py"), "# new\n");
  expect(interpreterFingerprint(choice)).not.toBe(before);
  expect(knownInterpreter(choice, lab.store).facts.files.map((file) => file.path)).toContain(
    "usr/local/lib/python3.12/added.py",
  );
});

it("tells strip and keep apart", () => {
  const keys = [{}, { strip: false }, { keep: ["curses"] }, { keep: ["curses", "tkinter"] }].map(
    (options) => knownInterpreter(choice, lab.store, options).facts.key,
  );
  expect(new Set(keys).size).toBe(4);
});

it("doesn't notice what packages and bytecode add", () => {
  fs.mkdirSync(standard("site-packages"));
  fs.mkdirSync(standard("__pycache__"));
  const before = interpreterFingerprint(choice);
  fs.writeFileSync(standard("site-packages", "pip.py"), "");
  fs.writeFileSync(standard("__pycache__", "os.cpython-312.pyc"), "");
  expect(interpreterFingerprint(choice)).toBe(before);
});
