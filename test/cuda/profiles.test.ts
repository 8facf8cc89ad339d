import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { cudaLibraryOf } from "../../src/cuda/libraries.ts";
import { cudaParts, filesLeftOut, partNames, partsNamed, withNeeds } from "../../src/cuda/profiles.ts";

const inference = cudaParts.filter(({ leftOutOf }) => leftOutOf.includes("inference")).map(({ name }) => name);
const training = cudaParts.filter(({ leftOutOf }) => leftOutOf.includes("training")).map(({ name }) => name);

/** Files as the wheels list them, of torch 2.3 (CUDA 12.1), 2.8 (CUDA 12.8) and 2.15 (CUDA 13.2). */
const wheels: Record<string, string[]> = {
  "nvidia-cudnn-cu12 8.9": [
    "nvidia/cudnn/lib/libcudnn.so.8",
    "nvidia/cudnn/lib/libcudnn_adv_infer.so.8",
    "nvidia/cudnn/lib/libcudnn_adv_train.so.8",
    "nvidia/cudnn/lib/libcudnn_cnn_infer.so.8",
    "nvidia/cudnn/lib/libcudnn_cnn_train.so.8",
    "nvidia/cudnn/lib/libcudnn_ops_infer.so.8",
    "nvidia/cudnn/lib/libcudnn_ops_train.so.8",
  ],
  "nvidia-cudnn-cu12 9.10": [
    "nvidia/cudnn/lib/libcudnn.so.9",
    "nvidia/cudnn/lib/libcudnn_adv.so.9",
    "nvidia/cudnn/lib/libcudnn_cnn.so.9",
    "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
    "nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9",
    "nvidia/cudnn/lib/libcudnn_graph.so.9",
    "nvidia/cudnn/lib/libcudnn_heuristic.so.9",
    "nvidia/cudnn/lib/libcudnn_ops.so.9",
  ],
  "nvidia-cudnn-cu13 9.26": [
    "nvidia/cudnn/lib/libcudnn.so.9",
    "nvidia/cudnn/lib/libcudnn_adv.so.9",
    "nvidia/cudnn/lib/libcudnn_engines_tensor_ir.so.9",
    "nvidia/cudnn/lib/libcudnn_ext.so.9",
  ],
  "nvidia-nvshmem-cu13 3.7": [
    "nvidia/nvshmem/lib/libnvshmem_device.a",
    "nvidia/nvshmem/lib/libnvshmem_device_sm_90.bc",
    "nvidia/nvshmem/lib/libnvshmem_host.so.3",
    "nvidia/nvshmem/lib/nvshmem_bootstrap_uid.so.3",
    "nvidia/nvshmem/lib/nvshmem_transport_ibrc.so.6",
  ],
  "nvidia-cufile 1.17": ["nvidia/cu13/lib/libcufile.so.0", "nvidia/cu13/lib/libcufile_rdma.so.1"],
  "nvidia-cublas-cu12 12.8": [
    "nvidia/cublas/include/cublas.h",
    "nvidia/cublas/lib/libcublas.so.12",
    "nvidia/cublas/lib/libcublasLt.so.12",
  ],
  "nvidia-cufft 12.0": ["nvidia/cu13/lib/libcufft.so.12", "nvidia/cu13/lib/libcufftw.so.12"],
  "nvidia-cuda-nvrtc 13.0": [
    "nvidia/cu13/lib/libnvrtc-builtins.alt.so.13.0",
    "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
    "nvidia/cu13/lib/libnvrtc.alt.so.13",
    "nvidia/cu13/lib/libnvrtc.so.13",
  ],
  "nvidia-cusolver-cu12 11.7": ["nvidia/cusolver/lib/libcusolver.so.11", "nvidia/cusolver/lib/libcusolverMg.so.11"],
  "nvidia-nccl-cu13 2.27": ["nvidia/nccl/lib/libnccl.so.2"],
  "nvidia-cuda-runtime-cu12 12.1": ["nvidia/cuda_runtime/lib/libcudart.so.12"],
  "nvidia-nvtx-cu12 12.1": ["nvidia/nvtx/lib/libnvToolsExt.so.1"],
  "torch 2.3.1": [
    "torch/__init__.py",
    "torch/bin/protoc",
    "torch/bin/torch_shm_manager",
    "torch/include/ATen/ATen.h",
    "torch/lib/libcaffe2_nvrtc.so",
    "torch/lib/libcusparseLt-f80c68d1.so.0",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libtorch_cuda.so",
    "torch/lib/libtorch_cuda_linalg.so",
  ],
  "torch 1.13+cu117": [
    "torch/lib/libcublas.so.11",
    "torch/lib/libcudnn_adv_infer.so.8",
    "torch/lib/libcudnn_cnn_infer.so.8",
  ],
  "triton 3.4": ["triton/__init__.py", "triton/_C/libtriton.so", "triton-3.4.0.dist-info/RECORD"],
};

/** What becomes of a wheel's files with these parts gone: `-` before what is dropped, `~` before what gets a stub. */
function left(wheel: string, parts: string[]): string[] {
  const patterns = filesLeftOut(wheel.split(" ")[0] ?? "", parts);
  return (wheels[wheel] ?? []).map((file) => {
    const found = patterns.filter(({ path }) =>
      path.endsWith("*") ? file.startsWith(path.slice(0, -1)) : file === path,
    );
    expect(found.length, `patterns for ${file}`).toBeLessThanOrEqual(1);
    const name = file.slice(file.lastIndexOf("/") + 1);
    return found[0] ? `${found[0].how === "stub" ? "~" : "-"}${name}` : name;
  });
}

describe("profiles", () => {
  it.each([
    [
      "nvidia-cudnn-cu12 8.9",
      [
        "libcudnn.so.8",
        "~libcudnn_adv_infer.so.8",
        "~libcudnn_adv_train.so.8",
        "libcudnn_cnn_infer.so.8",
        "~libcudnn_cnn_train.so.8",
        "libcudnn_ops_infer.so.8",
        "~libcudnn_ops_train.so.8",
      ],
    ],
    [
      "nvidia-cudnn-cu12 9.10",
      [
        "libcudnn.so.9",
        "~libcudnn_adv.so.9",
        "libcudnn_cnn.so.9",
        "libcudnn_engines_precompiled.so.9",
        "libcudnn_engines_runtime_compiled.so.9",
        "libcudnn_graph.so.9",
        "libcudnn_heuristic.so.9",
        "libcudnn_ops.so.9",
      ],
    ],
    [
      "nvidia-cudnn-cu13 9.26",
      ["libcudnn.so.9", "~libcudnn_adv.so.9", "libcudnn_engines_tensor_ir.so.9", "libcudnn_ext.so.9"],
    ],
    [
      "nvidia-nvshmem-cu13 3.7",
      [
        "-libnvshmem_device.a",
        "-libnvshmem_device_sm_90.bc",
        "~libnvshmem_host.so.3",
        "-nvshmem_bootstrap_uid.so.3",
        "-nvshmem_transport_ibrc.so.6",
      ],
    ],
    ["nvidia-cufile 1.17", ["libcufile.so.0", "-libcufile_rdma.so.1"]],
    ["nvidia-cublas-cu12 12.8", ["-cublas.h", "libcublas.so.12", "libcublasLt.so.12"]],
    ["nvidia-cufft 12.0", ["~libcufft.so.12", "-libcufftw.so.12"]],
    [
      "nvidia-cuda-nvrtc 13.0",
      ["-libnvrtc-builtins.alt.so.13.0", "-libnvrtc-builtins.so.13.0", "-libnvrtc.alt.so.13", "~libnvrtc.so.13"],
    ],
    ["nvidia-cusolver-cu12 11.7", ["~libcusolver.so.11", "-libcusolverMg.so.11"]],
    ["nvidia-nccl-cu13 2.27", ["~libnccl.so.2"]],
    ["nvidia-cuda-runtime-cu12 12.1", ["libcudart.so.12"]],
    ["nvidia-nvtx-cu12 12.1", ["libnvToolsExt.so.1"]],
    [
      "torch 2.3.1",
      [
        "__init__.py",
        "-protoc",
        "torch_shm_manager",
        "-ATen.h",
        "libcaffe2_nvrtc.so",
        "~libcusparseLt-f80c68d1.so.0",
        "libtorch_cpu.so",
        "libtorch_cuda.so",
        "-libtorch_cuda_linalg.so",
      ],
    ],
    ["torch 1.13+cu117", ["libcublas.so.11", "~libcudnn_adv_infer.so.8", "libcudnn_cnn_infer.so.8"]],
    ["triton 3.4", ["-__init__.py", "-libtriton.so", "RECORD"]],
  ])("leave out of %s in inference what a model at work does not call", (wheel, expected) => {
    expect(left(wheel, inference)).toEqual(expected);
  });

  it("leave a training what it calls: all that computes, NCCL, the compilers", () => {
    expect(training).toEqual(["cufftw", "cupti", "cusolvermg", "headers", "static-libraries"]);
    expect(left("nvidia-cudnn-cu12 8.9", training).filter((name) => /^[~-]/.test(name))).toEqual([]);
  });

  it("leave everything alone when they are full", () => {
    expect(cudaParts.filter(({ leftOutOf }) => leftOutOf.includes("full"))).toEqual([]);
  });

  it("name a library for each stub whose status is known", () => {
    for (const { name, files } of cudaParts) {
      for (const { stub = [] } of files) {
        for (const pattern of stub) {
          const soname = pattern.slice(pattern.lastIndexOf("/") + 1).replace(/\*$/, "");
          const full = soname.endsWith(".so") ? `${soname}.1` : `${soname}1a2b3c4d.so.1`.replace(/_1a2b3c4d/, "_infer");
          expect(cudaLibraryOf(full), `${name}: ${full}`).toBeDefined();
        }
      }
    }
  });

  it("say of each part what it is for, and need none that is not there", () => {
    const names = cudaParts.map(({ name }) => name);
    expect(names).toEqual(names.toSorted());
    expect(new Set(names).size).toBe(names.length);
    for (const { does, needs = [] } of cudaParts) {
      expect(does).toMatch(/^[A-Za-z]/);
      expect(names).toEqual(expect.arrayContaining([...needs]));
    }
  });

  it("are told part by part in docs/gpu.md", () => {
    const text = fs.readFileSync(path.join(import.meta.dirname, "..", "..", "docs", "gpu.md"), "utf8");
    const rows = [...text.matchAll(/^\| `([a-z-]+)` \| .* \| (.*) \| (.*) \|$/gm)].map(([, ...cells]) => cells);
    expect(rows).toEqual(
      cudaParts.map(({ name, does, leftOutOf }) => [name, does, leftOutOf.toSorted().toReversed().join(", ")]),
    );
  });

  it("know parts by name, and cuDNN's together", () => {
    expect(partsNamed("cufft")).toEqual(["cufft"]);
    expect(partsNamed("cudnn")).toEqual(["cudnn-adv", "cudnn-train"]);
    expect(partsNamed("cublas")).toEqual([]);
    expect(partNames()).toEqual(expect.arrayContaining(["cudnn", "cudnn-adv", "triton"]));
    expect([...withNeeds(["cusolver"])]).toEqual(["cusolver", "cusparse", "nvjitlink"]);
  });

  it("touch no distribution that has nothing of them", () => {
    for (const name of ["numpy", "torchvision", "onnxruntime-gpu", "nvidia-ml-py-extras"])
      expect(
        filesLeftOut(
          name,
          inference.filter((each) => each !== "headers"),
        ),
      ).toEqual([]);
  });
});
