/** The real wheel, whose device code is two thirds of a gigabyte. Fetched with pip into a folder beside the tests' store. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { decompressStream } from "../../src/archive/decompress.ts";
import { segmentEnd } from "../../src/archive/segment.ts";
import { readTarStream } from "../../src/archive/tar-read.ts";
import { readDeviceCode } from "../../src/cuda/device-code.ts";
import { coverageOf, summarizeDeviceCode } from "../../src/cuda/summary.ts";
import { withFile } from "../../src/host/random-access-file.ts";
import { ingestWheel, type WheelFacts } from "../../src/ingest/wheel.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { parseRecord } from "../../src/wheel/record.ts";
import { temporary } from "../archive/oracle.ts";
import { sharedStore } from "../e2e/sheaf.ts";
import { layout } from "../wheel/build-wheel.ts";

const filename = "torch-2.3.1-cp312-cp312-manylinux1_x86_64.whl";
const root = layout.platlib;
const cuda = `${root}/torch/lib/libtorch_cuda.so`;

describe.skipIf(process.env["SHEAF_TEST_GPU"] !== "1")(
  "torch 2.3.1 (skipped unless SHEAF_TEST_GPU=1: a download of 780 MB)",
  { timeout: 600_000 },
  () => {
    let wheel = "";
    beforeAll(() => {
      const folder = `${sharedStore}-wheels`;
      wheel = path.join(folder, filename);
      if (fs.existsSync(wheel)) return;
      const target = ["--python-version", "3.12", "--platform", "manylinux1_x86_64"];
      const words = ["-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", ...target, "-d", folder];
      execFileSync("python3", [...words, "torch==2.3.1"], { stdio: "inherit" });
    }, 600_000);

    it("is trimmed for one GPU in less memory than its largest library has bytes", async () => {
      const store = openStore(path.join(temporary(), "store"));
      const digest = await put(store, wheel);
      const before = process.resourceUsage().maxRSS;
      const device = { targets: [86], leaveOut: [] };
      const task = { storeRoot: store.root, digest, filename, layout, strip: true, exclude: [], mtime: 0, device };
      const facts = await ingestWheel(task);
      // KiB; the process of the tests has some hundred MiB itself.
      expect(process.resourceUsage().maxRSS - before).toBeLessThan(500 * 1024);

      const library = facts.device?.libraries.find((each) => each.path === "torch/lib/libtorch_cuda.so");
      expect(library?.outcome).toBe("trimmed");
      expect(library?.note).toBeUndefined();
      expect((library?.after ?? Infinity) / (library?.before ?? 1)).toBeLessThan(0.3);

      const folder = temporary();
      const { hashes, record } = await unpack(store, facts, path.join(folder, "libtorch_cuda.so"));
      const rows = parseRecord(record);
      expect(rows.map((row) => path.posix.join(root, row.path)).toSorted()).toEqual([...hashes.keys()].toSorted());
      for (const row of rows) {
        if (row.hash !== undefined)
          expect([row.path, hashes.get(path.posix.join(root, row.path))]).toEqual([row.path, row.hash]);
      }

      execFileSync("unzip", ["-q", "-o", wheel, "torch/lib/libtorch_cuda.so", "-d", folder]);
      const whole = await codeOf(path.join(folder, "torch/lib/libtorch_cuda.so"));
      const trimmed = await codeOf(path.join(folder, "libtorch_cuda.so"));
      expect(summarizeDeviceCode(trimmed).code.map(({ name }) => name)).toEqual(["sm_86"]);
      expect(coverageOf(whole, 86).machineCode).toBeGreaterThan(300);
      expect(coverageOf(trimmed, 86).machineCode).toBe(coverageOf(whole, 86).machineCode);
      expect(summarizeDeviceCode(whole).code.map(({ name }) => name)).toContain("sm_50");
    });
  },
);

async function put(store: Store, file: string) {
  const writer = store.openBlobWriter();
  for await (const chunk of fs.createReadStream(file, { highWaterMark: 2 ** 20 })) writer.write(chunk as Uint8Array);
  return writer.commit().digest;
}

/** Hashes of a segment's files as RECORD has them, its RECORD, and libtorch_cuda.so in a file. */
async function unpack(store: Store, { segment }: WheelFacts, to: string) {
  const hashes = new Map<string, string>();
  let record = "";
  const compressed = async function* () {
    yield* fs.createReadStream(store.blobPath(segment.digest)) as AsyncIterable<Uint8Array>;
    yield segmentEnd;
  };
  for await (const entry of readTarStream(decompressStream(compressed(), "gzip"))) {
    const hash = createHash("sha256");
    const out = entry.path === cuda ? fs.openSync(to, "w") : undefined;
    for await (const chunk of entry.body) {
      hash.update(chunk);
      if (out !== undefined) fs.writeSync(out, chunk);
      if (entry.path.endsWith(".dist-info/RECORD")) record += Buffer.from(chunk).toString();
    }
    if (out !== undefined) fs.closeSync(out);
    hashes.set(entry.path, `sha256=${hash.digest("base64url")}`);
  }
  return { hashes, record };
}

async function codeOf(file: string) {
  const code = await withFile(file, (source) => readDeviceCode(source));
  if (!code) throw new Error(`${file} has no device code`);
  return code;
}
