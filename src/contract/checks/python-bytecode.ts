import { magicNumber } from "../../bytecode/magic.ts";
import type { StaticCheck } from "../check.ts";
import type { FileFact } from "../facts/file-fact.ts";
import type { ImageFacts } from "../facts/image-facts.ts";
import { pythonEnvironments } from "../facts/pythons.ts";
import { sourceHash } from "../facts/source-hash.ts";
import { fail, notApplicable, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";

export const pythonBytecode: StaticCheck = {
  id: "python.bytecode",
  title: "compiled modules are of their sources and for this Python",
  holds:
    "Every .pyc in __pycache__: its magic number is that of an interpreter in the image, and the source's time and size, or its hash, are those that it was made from.",
  why: "A stale .pyc is compiled again at every start of a read-only container; one with an unchecked hash runs the old code, whatever the source says.",
  sources: ["PEP 552", "PEP 3147", "measured: rewriting times makes timestamp .pyc stale"],
  run: ({ facts }) => {
    const minors = new Set(facts.derived(pythonEnvironments).map(({ minor }) => minor));
    const compiled = [...facts.files.values()].filter(
      ({ path, head }) => head && /\/__pycache__\/[^/]+\.pyc$/.test(path),
    );
    if (compiled.length === 0) return notApplicable("no module is compiled");
    const problems = compiled.flatMap((file) => problemOf(facts, file, minors));
    const [first] = problems;
    if (first === undefined) return pass(`${compiled.length} compiled modules`);
    return fail(first, {
      evidence: firstOf(problems),
      hint: "compile after the last change of the sources: python -m compileall --invalidation-mode unchecked-hash",
    });
  },
};

function problemOf(
  facts: ImageFacts,
  { path, head = new Uint8Array() }: FileFact,
  minors: ReadonlySet<string>,
): string[] {
  const [, folder = "", name = "", digits = ""] =
    /^(.*?)__pycache__\/(.+)\.cpython-3(\d+)(?:\.opt-\d)?\.pyc$/.exec(path) ?? [];
  // Tags of other implementations, and of tools such as pytest.
  if (name === "") return [];
  const minor = `3.${digits}`;
  if (!minors.has(minor)) return [`/${path} is for Python ${minor}, which the image does not have`];
  if (head.length < 16) return [`/${path} is cut short`];
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const magic = magicNumber(minor);
  if (magic !== undefined && bytes.readUInt16LE(0) !== magic)
    return [`/${path} was written by another Python than ${minor}`];
  const source = facts.find(`${folder}${name}.py`);
  if (!source) return [];
  const flags = bytes.readUInt32LE(4);
  if ((flags & 1) === 0) {
    const stale = bytes.readUInt32LE(8) !== source.mtime % 2 ** 32 || bytes.readUInt32LE(12) !== source.size % 2 ** 32;
    return stale ? [`/${path} is stale: its source has another time or size`] : [];
  }
  const actual =
    source.sourceHash ??
    (source.text === undefined ? undefined : sourceHash(Buffer.from(source.text, "latin1"), minor));
  if (actual === undefined || actual === bytes.toString("hex", 8, 16)) return [];
  const unchecked = (flags & 2) === 0;
  return [
    `/${path} is stale: ${unchecked ? "the old code runs, nothing compares it with its source" : "its source has another hash"}`,
  ];
}
