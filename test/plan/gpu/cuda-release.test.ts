import { describe, expect, it } from "vitest";

import { SheafError } from "../../../src/errors.ts";
import { cudaOfDistributions, gpuNotes, planGpu } from "../../../src/plan/gpu/cuda-release.ts";
import { gpuLabels, gpuVariables } from "../../../src/plan/gpu/settings.ts";

const runtime = { name: "nvidia-cuda-runtime-cu12", version: "12.1.105" };

function refusal(action: () => unknown): SheafError {
  try {
    action();
  } catch (error) {
    if (error instanceof SheafError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("the CUDA of an image", () => {
  it("is what the wheels bring: NVIDIA's runtime, else what a version says", () => {
    expect(cudaOfDistributions([{ name: "torch", version: "2.3.1" }, runtime])?.release).toBe("12.1");
    expect(cudaOfDistributions([{ name: "nvidia-cuda-runtime", version: "13.0.96" }])?.release).toBe("13.0");
    expect(cudaOfDistributions([{ name: "torch", version: "2.1.0+cu118" }])).toEqual({
      release: "11.8",
      by: "torch 2.1.0+cu118",
    });
    expect(cudaOfDistributions([{ name: "torch", version: "2.3.1+cpu" }])).toBeUndefined();
  });

  it("has the driver that it needs, and targets by compute capability", () => {
    expect(
      planGpu("worker", { cuda: "12.1", targets: ["h100", "T4", "rtx-3090"], profile: "inference" }, [runtime]),
    ).toEqual({
      cuda: "12.1",
      minDriver: "525.60.13",
      targets: ["h100", "T4", "rtx-3090"],
      capabilities: ["7.5", "8.6", "9.0"],
      profile: "inference",
    });
    expect(planGpu("worker", { cuda: "12" }, [runtime]).cuda).toBe("12.1");
    expect(planGpu("worker", {}, [])).toEqual({});
    expect(planGpu("worker", { cuda: "12.4" }, []).cuda).toBe("12.4");
  });

  it("is not another than the one that was asked for", () => {
    const error = refusal(() => planGpu("worker", { cuda: "12.4" }, [runtime]));
    expect(error.code).toBe("SHEAF_CUDA");
    expect(error.message).toBe('the image "worker" is to have CUDA 12.4, and its wheels bring 12.1');
    expect(error.details).toEqual([
      ["wanted by", "config images.worker.gpu cuda"],
      ["brought by", "nvidia-cuda-runtime-cu12 12.1.105"],
    ]);
    expect(error.hints[0]).toBe('set cuda = "12.1", or leave it out: the wheels decide');
  });

  it("knows its targets", () => {
    const error = refusal(() => planGpu("worker", { targets: ["t4", "b200"] }, [runtime]));
    expect(error.message).toBe("CUDA 12.1 does not support b200, a target of worker");
  });

  it("is missed where torch is built for the CPU", () => {
    expect(gpuNotes("worker", {}, [{ name: "torch", version: "2.3.1+cpu" }])).toEqual([
      expect.objectContaining({ level: "warning" }),
    ]);
    expect(gpuNotes("worker", { capabilities: ["8.6"] }, [runtime])).toEqual([]);
    expect(gpuNotes("worker", {}, [{ name: "onnxruntime-gpu", version: "1.20.1" }])).toEqual([]);
  });
});

describe("what an image for GPUs tells", () => {
  const gpu = planGpu("worker", { targets: ["a10", "h100"], profile: "inference", "prune-nvidia": true }, [runtime]);

  it("NVIDIA's runtime by variables; a worker takes one GPU, others all", () => {
    const values = (role: "worker" | "api") =>
      Object.fromEntries(Object.entries(gpuVariables(gpu, role)).map(([name, { value }]) => [name, value]));
    expect(values("worker")).toEqual({
      CUDA_MODULE_LOADING: "LAZY",
      CUDA_VISIBLE_DEVICES: "0",
      NVIDIA_DRIVER_CAPABILITIES: "compute,utility",
      NVIDIA_REQUIRE_CUDA: "cuda>=12.0",
      NVIDIA_VISIBLE_DEVICES: "all",
    });
    expect(values("api")).not.toHaveProperty("CUDA_VISIBLE_DEVICES");
    expect(gpuVariables({}, "api")).not.toHaveProperty("NVIDIA_REQUIRE_CUDA");
  });

  it("everybody by labels", () => {
    const part = { source: "", does: "", dropped: 0, stubbed: 1, bytes: 1 };
    const device = {
      before: 2,
      after: 1,
      leftOut: ["cufft", "headers", "nccl"].map((name) => ({ ...part, name })),
      kept: [],
      libraries: [],
    };
    const values = Object.fromEntries(Object.entries(gpuLabels(gpu, device)).map(([name, { value }]) => [name, value]));
    expect(values).toEqual({
      "sheaf.cuda.version": "12.1",
      "sheaf.cuda.min-driver": "525.60.13",
      "sheaf.cuda.targets": "8.6,9.0",
      "sheaf.cuda.profile": "inference",
      "sheaf.cuda.left-out": "cufft,nccl",
      "sheaf.cuda.nvidia-modified": "true",
    });
    expect(Object.keys(gpuLabels(planGpu("w", { "prune-nvidia": true }, [runtime]), undefined))).toEqual([
      "sheaf.cuda.version",
      "sheaf.cuda.min-driver",
    ]);
  });
});
