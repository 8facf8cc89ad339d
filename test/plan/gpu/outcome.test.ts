import { describe, expect, it } from "vitest";

import type { DeviceLibrary } from "../../../src/ingest/device.ts";
import type { IngestedWheel } from "../../../src/ingest/wheel.ts";
import { deviceOptionsOf } from "../../../src/plan/gpu/device-options.ts";
import { deviceOutcome, partsStillNeeded } from "../../../src/plan/gpu/outcome.ts";

const request = { targets: [86], pruneNvidia: false, leaveOut: ["cufft", "cufftw", "cusolver"] };

interface Spec {
  name: string;
  libraries?: DeviceLibrary[];
  elf?: { path: string; soname?: string; needed?: string[] }[];
}

function wheel({ name, libraries = [], elf = [] }: Spec): IngestedWheel {
  const sum = (key: "before" | "after") => libraries.reduce((total, each) => total + each[key], 0);
  return {
    distribution: { name },
    facts: {
      device: libraries.length > 0 ? { before: sum("before"), after: sum("after"), libraries } : undefined,
      elf: elf.map(({ path, soname, needed = [] }) => ({ path, facts: { soname, needed } })),
    },
  } as unknown as IngestedWheel;
}

const cufft = wheel({
  name: "nvidia-cufft-cu12",
  libraries: [
    { path: "nvidia/cufft/lib/libcufft.so.11", before: 100, after: 4, outcome: "stubbed" },
    { path: "nvidia/cufft/lib/libcufftw.so.11", before: 10, after: 0, outcome: "dropped" },
  ],
  elf: [{ path: "site-packages/nvidia/cufft/lib/libcufft.so.11", soname: "libcufft.so.11" }],
});
const torch = wheel({
  name: "torch",
  libraries: [
    { path: "torch/lib/libtorch_cuda.so", before: 800, after: 200, outcome: "trimmed" },
    { path: "torch/lib/libtorch_cuda_linalg.so", before: 80, after: 0, outcome: "dropped" },
  ],
  elf: [{ path: "site-packages/torch/lib/libtorch_cuda.so", needed: ["libcufft.so.11"] }],
});

describe("what becomes of CUDA libraries", () => {
  it("is told with the part that each belongs to", () => {
    const outcome = deviceOutcome([torch, cufft, wheel({ name: "numpy" })], { request, restored: [] });
    expect([outcome.before, outcome.after]).toEqual([990, 204]);
    expect(outcome.libraries.map(({ path, part }) => [path, part])).toEqual([
      ["nvidia/cufft/lib/libcufft.so.11", "cufft"],
      ["nvidia/cufft/lib/libcufftw.so.11", "cufftw"],
      ["torch/lib/libtorch_cuda.so", undefined],
      ["torch/lib/libtorch_cuda_linalg.so", "cusolver"],
    ]);
  });

  it("lets nothing go that a library in the image is linked to", () => {
    expect(partsStillNeeded([torch, cufft], request)).toEqual([]);
    const asking = wheel({ name: "other", elf: [{ path: "site-packages/other/_c.so", needed: ["libcufftw.so.11"] }] });
    expect(partsStillNeeded([torch, cufft, asking], request)).toEqual([
      { part: "cufftw", neededBy: "site-packages/other/_c.so" },
    ]);
    const bringing = wheel({ name: "another", elf: [{ path: "site-packages/another.libs/libcufftw.so.11" }] });
    expect(partsStillNeeded([torch, cufft, asking, bringing], request)).toEqual([]);
  });
});

describe("what is done to a distribution", () => {
  const of = (name: string, filename: string, pruneNvidia = false) =>
    deviceOptionsOf({ name, filename }, { ...request, pruneNvidia });

  it("is nothing to pure Python, and to NVIDIA's own unless that was asked for", () => {
    expect(of("celery", "celery-5.7.0-py3-none-any.whl")).toBeUndefined();
    expect(of("nvidia-cublas-cu12", "nvidia_cublas_cu12-12.1.3.1-py3-none-manylinux1_x86_64.whl")).toBeUndefined();
    expect(of("nvidia-cublas-cu12", "nvidia_cublas_cu12-12.1.3.1-py3-none-manylinux1_x86_64.whl", true)).toEqual({
      targets: [86],
      leaveOut: [],
      pruneNvidia: true,
    });
  });

  it("is both for torch, and the files alone for what is left out", () => {
    expect(of("torch", "torch-2.3.1-cp312-cp312-manylinux1_x86_64.whl")).toMatchObject({
      targets: [86],
      leaveOut: expect.arrayContaining([
        {
          path: "torch/lib/libtorch_cuda_linalg.so",
          how: "drop",
          library: "cusolver",
          setting: 'keep = ["cusolver"]',
        },
      ]),
    });
    expect(of("nvidia-cufft-cu12", "nvidia_cufft_cu12-11.0.2.54-py3-none-manylinux1_x86_64.whl")?.targets).toEqual([]);
    expect(of("xformers", "xformers-0.0.27-cp312-cp312-manylinux2014_x86_64.whl")).toEqual({
      targets: [86],
      leaveOut: [],
    });
  });
});
