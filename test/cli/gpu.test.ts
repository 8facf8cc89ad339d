import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import type { CommandResult } from "../../src/cli/command.ts";
import { gpu } from "../../src/cli/commands/gpu.ts";
import { CommandContext } from "../../src/cli/context.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { styleFor } from "../../src/report/text.ts";
import { buildFatBinary } from "../cuda/build-fat-binary.ts";
import { buildLibrary } from "../cuda/build-library.ts";
import { installed } from "../ingest/base-builder.ts";
import { d, f, h, imageOf, layerOf } from "../oci/images.ts";

const images = [75, 86, 90].map((sm) => ({ sm, storage: "zstd" as const, size: 20_000 }));
const library = buildLibrary({ fatBinaries: [buildFatBinary(images)], after: 30_000 });
// A fat binary among its data, as cuFFT has thousands.
buildFatBinary([{ sm: 80, size: 3000 }]).copy(library.bytes, library.bytes.indexOf("after the device code") + 8);

let directory = "";
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-gpu-"));
  for (const name of ["torch/lib/libtorch_cuda.so", "nvidia/cufft/lib/libcufft.so.11"]) {
    fs.mkdirSync(path.join(directory, "env", path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(directory, "env", name), library.bytes);
  }
});
afterAll(() => {
  fs.rmSync(directory, { recursive: true });
});

describe("sheaf gpu", () => {
  it("lists GPUs, and what a CUDA needs", async () => {
    expect(textOf(await run(["list"]))).toMatch(/8\.6 +Ampere +11\.1\+ +a10 /);
    const listed = await run(["list"], { cuda: "12.1" });
    expect(textOf(listed)).toMatch(/^CUDA 12\.1 needs driver 525\.60\.13 or newer; it came with 530\.30\.02/);
    expect(textOf(listed)).not.toMatch(/b200/);
    await expect(run(["list"], { cuda: "99" })).rejects.toMatchObject({ code: "SHEAF_OPTION" });
  });

  it("inspects a folder", async () => {
    const inspected = await run(["inspect", "env"], { targets: ["t4", "8.0"], check: true });
    const text = textOf(inspected).replaceAll("\u00a0", " ");
    expect(text).toContain("sm_75 20 kB · sm_86 20 kB · sm_90 20 kB");
    expect(text).toContain("for 7.5: machine code in 1\n    for 8.0: nothing in 1\n");
    expect(text).toContain("drivers from 550.54.14");
    expect(text).toContain("left whole: 3.1 kB in 1 fat binary among its data (.after)");
    expect(text).not.toContain("not understood");
    expect(inspected.json).toMatchObject({ libraries: [{ path: "nvidia/cufft/lib/libcufft.so.11" }, { binaries: 1 }] });
  });

  it("inspects an image, by what it promises unless told otherwise", async () => {
    const root = "usr/lib/python3/dist-packages";
    const shared = { ...f(`${root}/torch/lib/libtorch_cuda.so`), content: library.bytes };
    const plain = buildLibrary({ fatBinaries: [], relocations: "rela" }).bytes;
    const large = Buffer.concat([library.bytes, Buffer.alloc(26_000_000)]);
    const image = imageOf(
      [
        layerOf([
          d("opt"),
          { ...f("opt/gone.so"), content: library.bytes },
          ...installed("torch 2.3.1", ["torch/lib/libtorch_cuda.so"], root),
        ]),
        layerOf([
          f("opt/.wh.gone.so"),
          shared,
          h("opt/same.so", shared.path),
          { ...f("opt/libplain.so"), content: plain },
        ]),
        layerOf([{ ...f("opt/large.so"), content: large }]),
      ],
      { config: { os: "linux", architecture: "amd64", config: { Labels: { "sheaf.cuda.targets": "7.5,8.9" } } } },
    );
    await writeLayout(path.join(directory, "layout"), image);
    const inspected = await run(["inspect", "layout"]);
    expect(inspected.json).toMatchObject({
      promised: ["7.5", "8.9"],
      libraries: [
        { path: "opt/large.so", layer: 2, binaries: 2, size: large.length },
        { path: shared.path, layer: 1, owner: "torch 2.3.1", binaries: 2 },
      ],
      total: [{ name: "sm_75" }, { name: "sm_80" }, { name: "sm_86" }, { name: "sm_90" }],
    });
    const text = textOf(inspected).replaceAll("\u00a0", " ");
    expect(text).toContain("made for 7.5, 8.9");
    // The one among its data is for 8.0, which runs on 8.9 too.
    expect(text).toContain("for 7.5: machine code in 1, nothing in 1\n    for 8.9: machine code in 2\n");
    expect(text).toMatch(/of device code in 2 libraries\n {2}sm_\d\d +\d+ kB +▇+/);
    expect((await run(["inspect", "layout"], { targets: ["h100"] })).json).toMatchObject({
      libraries: [{ coverage: [{ target: 90, machineCode: 1, nothing: 1 }] }, {}],
    });
    await expect(run(["inspect", "layout"], { check: true })).rejects.toMatchObject({ code: "SHEAF_OPTION" });
  });

  it("leaves out what a profile and --drop say, and keeps what --keep says", async () => {
    const folder = path.join(directory, "parts");
    const site = path.join(folder, "lib/site-packages");
    for (const name of ["cufft/lib/libcufftw.so.11", "cusolver/lib/libcusolverMg.so.11", "cufft/include/cufft.h"]) {
      fs.mkdirSync(path.join(site, "nvidia", path.dirname(name)), { recursive: true });
      fs.writeFileSync(path.join(site, "nvidia", name), library.bytes);
    }
    for (const name of ["nvidia_cufft_cu12-11.0.2", "nvidia_cusolver_cu12-11.4.5"]) {
      fs.mkdirSync(path.join(site, `${name}.dist-info`));
      fs.writeFileSync(path.join(site, `${name}.dist-info`, "RECORD"), "");
    }
    const options = { targets: ["t4"], profile: "inference", keep: ["cusolvermg,nccl"], output: "parts-trimmed" };
    const text = textOf(await run(["trim", "parts"], options));
    expect(text).toMatch(/of CUDA left out: cufftw, headers; --keep brings a part back/);
    expect(fs.existsSync(path.join(directory, "parts-trimmed/lib/site-packages/nvidia/cufft"))).toBe(false);
    expect(fs.readdirSync(path.join(directory, "parts-trimmed/lib/site-packages/nvidia/cusolver/lib"))).toHaveLength(1);
    const dropping = { targets: ["t4"], drop: ["cusolvermg"], output: "parts-dropped" };
    expect(textOf(await run(["trim", "parts"], dropping))).toMatch(/left out: cusolvermg;/);
  });

  it("trims a folder, and says what it left alone", async () => {
    const text = textOf(await run(["trim", "env"], { targets: ["t4,h100", "8.0"], output: "trimmed" }));
    expect(text).toMatch(/torch\/lib\/libtorch_cuda\.so +\d+ kB +\d+ kB/);
    expect(text).toContain("has no code for 8.0 in 1 of 1 fat binaries, before as after");
    expect(text).toContain("1 library of NVIDIA's");
    const options = { targets: ["t4"], output: "pruned", pruneNvidia: true };
    expect(textOf(await run(["trim", "env"], options))).toMatch(/licence: .*section 1\.2/);
  });

  it.each<[string[], Record<string, unknown>, string]>([
    [["prune"], {}, "SHEAF_OPTION"],
    [["inspect"], {}, "SHEAF_OPTION"],
    [["inspect", "./nowhere"], {}, "SHEAF_NO_IMAGE"],
    [["trim", "env"], { targets: ["t4"] }, "SHEAF_OPTION"],
    [["trim", "env"], { output: "x" }, "SHEAF_OPTION"],
    [["trim", "env"], { output: "x", targets: ["t44"] }, "SHEAF_GPU"],
    [["trim", "env"], { output: "x", targets: ["t4"], drop: ["cuft"] }, "SHEAF_OPTION"],
  ])("refuses %j %j", async (words, options, code) => {
    await expect(run(words, options)).rejects.toMatchObject({ code });
  });
});

async function run(words: string[], options: Record<string, unknown> = {}): Promise<CommandResult> {
  const cacheDir = path.join(directory, "store");
  const signal = new AbortController().signal;
  const context = new CommandContext({ cacheDir, offline: true, quiet: true, signal });
  onTestFinished(() => context.close());
  return gpu.run({ arguments: words, rest: [], options }, Object.assign(context, { directory }));
}

function textOf(result: CommandResult): string {
  return result.text?.(styleFor({}, {}), 100) ?? "";
}
