import { describe, expect, it } from "vitest";

import { cudaSupports, driverFor, gpuFamilies, parseGpuTargets } from "../../src/cuda/gpus.ts";
import { SheafError } from "../../src/errors.ts";

describe("parseGpuTargets", () => {
  it.each<[string, number]>([
    ["t4", 75],
    ["Tesla T4", 75],
    ["NVIDIA A10G", 86],
    ["A100-SXM4-40GB", 80],
    ["H100 80GB HBM3", 90],
    ["NVIDIA GeForce RTX 4090", 89],
    ["rtx_4090", 89],
    ["4090", 89],
    ["RTX A6000", 86],
    ["a6000", 86],
    ["NVIDIA RTX 6000 Ada Generation", 89],
    ["RTX PRO 6000 Blackwell Server Edition", 120],
    ["l40s", 89],
    ["b200", 100],
    ["8.6", 86],
    ["12.0", 120],
    ["86", 86],
    ["sm_90a", 90],
    ["compute_75", 75],
  ])("knows %s", (text, sm) => {
    expect(parseGpuTargets([text]).map((target) => target.sm)).toEqual([sm]);
  });

  it("takes lists, sorts them and keeps each capability once", () => {
    expect(parseGpuTargets(["h100, t4,tesla-t4", "rtx3090", "a10"])).toEqual([
      { name: "t4", sm: 75 },
      { name: "rtx3090", sm: 86 },
      { name: "h100", sm: 90 },
    ]);
  });

  it.each(["t44", "9", "2.0", "rtx 9999", "sm_", "gpu"])("refuses %s", (text) => {
    expect(() => parseGpuTargets([text])).toThrow(SheafError);
  });

  it("has each name once", () => {
    const names = gpuFamilies.flatMap((family) => family.names);
    expect(names).toEqual([...new Set(names)]);
    for (const name of names) expect(parseGpuTargets([name])).toHaveLength(1);
  });
});

describe("driverFor", () => {
  it("tells the driver that a CUDA needs, and the one it came with", () => {
    expect(driverFor("12.1.105")).toEqual({ minimum: "525.60.13", complete: "530.30.02" });
    expect(driverFor("13.9")).toEqual({ minimum: "580.65.06", complete: undefined });
    expect(driverFor("10.2")).toBeUndefined();
    expect(driverFor("cuda")).toBeUndefined();
  });
});

describe("cudaSupports", () => {
  it.each<[string, number, boolean | undefined]>([
    ["12.1", 75, true],
    ["12.1", 89, true],
    ["11.0", 89, true],
    ["12.1", 100, false],
    ["12.8", 100, true],
    ["13.0", 70, false],
    ["13.0", 75, true],
    ["12.1", 150, undefined],
  ])("CUDA %s and %i: %s", (cuda, sm, expected) => {
    expect(cudaSupports(cuda, sm)).toBe(expected);
  });
});
