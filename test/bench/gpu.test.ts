import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { bytesSource, streamParts } from "../../src/cuda/random-access.ts";
import { trimLibrary } from "../../src/cuda/trim.ts";
import { fatBinaryHeader, placeholderEntry } from "../../src/cuda/write-fat-binary.ts";
import { anyPython } from "../bytecode/pythons.ts";
import { buildFatBinary } from "../cuda/build-fat-binary.ts";
import { buildLibrary } from "../cuda/build-library.ts";

const python = anyPython()?.executable;

describe.skipIf(!python)("bench/gpu (needs a CPython)", () => {
  let folder = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-bench-gpu-"));
  });
  afterAll(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** Runs lines of Python with the scripts of bench/gpu at hand, and reads what they print as JSON. */
  const run = (...lines: string[]): unknown => {
    const scripts = path.join(import.meta.dirname, "../../bench/gpu");
    const program = ["import json, sys", `sys.path.insert(0, ${JSON.stringify(scripts)})`, ...lines].join("\n");
    const { stdout, stderr } = spawnSync(python ?? "", ["-I", "-B", "-c", program], { encoding: "utf8" });
    expect(stderr).toBe("");
    return JSON.parse(stdout);
  };

  it("finds the stand-ins of a trimmed library, and makes the same where there is none", async () => {
    const only = (sm: number) => buildFatBinary([{ sm, size: 9000 }]);
    const source = bytesSource(buildLibrary({ fatBinaries: [only(50), only(86), only(50), only(90)] }).bytes);
    const result = await trimLibrary(source, { targets: [86] });
    const chunks: Uint8Array[] = [];
    for await (const chunk of streamParts(source, result?.parts ?? [])) chunks.push(chunk);
    const file = path.join(folder, "library.so");
    fs.writeFileSync(file, Buffer.concat(chunks));
    const found = run(
      "import standin",
      `found = [each.hex() for each in standin.stand_ins(${JSON.stringify(file)})]`,
      "print(json.dumps(found + [standin.made_up(50).hex()]))",
    ) as string[];
    const image = { kind: "cubin" as const, architecture: { sm: 50, variant: "" as const }, identifier: "" };
    const entry = placeholderEntry({ entries: [{ images: [image] } as never] });
    const expected = Buffer.concat([fatBinaryHeader(entry.length), entry]).toString("hex");
    expect(found).toHaveLength(4);
    expect([found[0], found[1], found[3]]).toEqual([expected, expected, expected]);
  });

  it("calls results identical, close or different", () => {
    const operation = { name: "a", type: "fp32", verdict: "pass", digest: "1", repeatable: true };
    const pairs = [
      [operation, operation],
      [operation, { ...operation, digest: "2" }],
      [
        { ...operation, repeatable: false },
        { ...operation, digest: "2" },
      ],
      [operation, null],
      [operation, { ...operation, verdict: "fail", digest: null, note: "no kernel image" }],
      [
        { ...operation, verdict: "skipped", digest: null },
        { ...operation, verdict: "skipped", digest: "2" },
      ],
    ];
    expect(
      run(
        "import compare",
        `print(json.dumps([compare.judge(*pair)[0] for pair in json.loads(${JSON.stringify(JSON.stringify(pairs))})]))`,
      ),
    ).toEqual(["identical", "different", "close", "different", "different", "not comparable"]);
  });

  it("passes for nothing but a GPU with the trimmed libraries", () => {
    const found = { device: "cuda", comparisons: { trimmed: { different: [] } }, runs: { trimmed: {} } };
    const cases = [
      found,
      { ...found, device: "cpu" },
      { ...found, runs: { trimmed: { really: { elsewhere: ["/usr/lib/libtorch_cuda.so"] } } } },
      { ...found, comparisons: { trimmed: { different: [{}] } } },
      { ...found, standIn: { verdict: "fail" } },
    ];
    expect(
      run(
        "import compare",
        `print(json.dumps([compare.verdict(each) for each in json.loads(${JSON.stringify(JSON.stringify(cases))})]))`,
      ),
    ).toEqual(["pass", "not run", "not run", "fail", "fail"]);
  });
});
