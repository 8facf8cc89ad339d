import { describe, expect, it } from "vitest";

import type { DevicePlan, GpuPlan } from "../../src/plan/image-plan.ts";
import { deviceFacts, deviceRows } from "../../src/report/device-text.ts";

const part = (name: string, bytes: number, source = "profile inference") => ({
  name,
  source,
  does: "this",
  dropped: 0,
  stubbed: 1,
  bytes,
});

const device: DevicePlan = {
  before: 1_300_000_000,
  after: 240_000_000,
  leftOut: [
    part("cufft", 190_000_000),
    part("cupti", 40_000_000, "config images.worker.gpu drop"),
    part("nccl", 230_000_000),
  ],
  kept: [{ name: "cusolver", source: "app/fit.py:12 uses torch.linalg.inv" }],
  libraries: [
    { path: "torch/lib/libtorch_cuda.so", before: 882_000_000, after: 236_000_000, outcome: "trimmed" },
    { path: "nvidia/cufft/lib/libcufft.so.11", before: 190_000_000, after: 12_000, outcome: "stubbed", part: "cufft" },
  ],
};
const gpu = (more: GpuPlan = {}) => ({
  value: { cuda: "12.1", minDriver: "525.60.13", targets: ["a10"], capabilities: ["8.6"], ...more },
  source: "config images.worker.gpu",
});

describe("what is said of an image for GPUs", () => {
  it("is in a plan: what it is for, what its libraries lose, what is left out by whom, what stays and why", () => {
    expect(deviceRows({ gpu: gpu(), device })).toEqual([
      ["gpu", "CUDA 12.1, for 8.6", "a10; driver 525.60.13 or newer"],
      ["libraries", "882 MB → 236 MB in 1 library", "without device code for other GPUs; NVIDIA's own are untouched"],
      ["left out", "2 parts of CUDA, 420 MB", "cufft, nccl: profile inference"],
      ["left out", "1 part of CUDA, 40 MB", "cupti: config images.worker.gpu drop"],
      ["stays", "cusolver", "app/fit.py:12 uses torch.linalg.inv"],
    ]);
    expect(deviceRows({ gpu: gpu({ pruneNvidia: true }), device })[1]?.[2]).toContain("NVIDIA's own too");
  });

  it("is one line where nothing is done, and none without a GPU", () => {
    const plain = { value: {}, source: "config images.worker.gpu" };
    expect(deviceRows({ gpu: plain })).toEqual([["gpu", "any CUDA, for all GPUs", "config images.worker.gpu"]]);
    expect(deviceFacts({ gpu: plain })).toEqual([]);
    expect(deviceRows({ device })).toEqual([]);
  });

  it("stands below the table of a build, a sentence each", () => {
    expect(deviceFacts({ gpu: gpu(), device })).toEqual([
      "device code for 8.6 alone: 882 MB → 236 MB in 1 library",
      "420 MB of CUDA left out: cufft, nccl (profile inference; keep brings a part back)",
      "40 MB of CUDA left out: cupti (config images.worker.gpu drop; keep brings a part back)",
      "cusolver stays: app/fit.py:12 uses torch.linalg.inv",
    ]);
  });
});
