import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { decideParts, type DeviceQuestion } from "../../../src/plan/gpu/decide.ts";
import { callsIn } from "../../../src/plan/gpu/own-calls.ts";

const distribution = (name: string, version: string, requiredBy: string[] = []) => ({ name, version, requiredBy });
const torch = [
  distribution("torch", "2.3.1", ["app"]),
  distribution("nvidia-cufft-cu12", "11.0.2.54", ["torch"]),
  distribution("nvidia-cuda-nvrtc-cu12", "12.1.105", ["torch"]),
  distribution("nvidia-cudnn-cu12", "8.9.2.26", ["torch"]),
  distribution("nvidia-cusolver-cu12", "11.4.5.107", ["torch"]),
  distribution("nvidia-nvjitlink-cu12", "12.9.86", ["nvidia-cusolver-cu12"]),
  distribution("nvidia-cusparse-cu12", "12.1.0.106", ["torch", "nvidia-cusolver-cu12"]),
  distribution("triton", "2.3.1", ["torch"]),
];

function decide(given: Partial<DeviceQuestion> = {}) {
  const decision = decideParts({
    image: "worker",
    profile: "inference",
    keep: [],
    drop: [],
    distributions: torch,
    calls: [],
    ...given,
  });
  return {
    leftOut: decision.leftOut.map(({ part }) => part),
    kept: Object.fromEntries(decision.kept.map(({ part, source }) => [part, source])),
    sources: Object.fromEntries(decision.leftOut.map(({ part, source }) => [part, source])),
    notes: decision.notes,
  };
}

describe("which parts of CUDA an image gets", () => {
  it("follows the profile, and says so", () => {
    expect(decide().leftOut).toEqual([
      "cudnn-adv",
      "cudnn-train",
      "cufft",
      "cufftw",
      "cufile-rdma",
      "cupti",
      "curand",
      "cusolver",
      "cusolvermg",
      "cusparse",
      "cusparselt",
      "headers",
      "nccl",
      "nvjitlink",
      "nvrtc",
      "nvshmem",
      "static-libraries",
      "triton",
    ]);
    expect(decide().sources["cufft"]).toBe("profile inference");
    expect(decide({ profile: "full" }).leftOut).toEqual([]);
    expect(decide({ profile: "training" }).leftOut).not.toContain("nccl");
  });

  it("keeps what is to be kept, with what that needs", () => {
    const { leftOut, kept } = decide({ keep: ["cusolver"] });
    expect(leftOut).not.toEqual(expect.arrayContaining(["cusolver"]));
    expect(kept).toEqual({
      cusolver: 'keep = ["cusolver"]',
      cusparse: "cuSOLVER needs it",
      nvjitlink: "cuSOLVER needs it",
    });
    expect(decide({ keep: ["cudnn"] }).kept).toEqual({
      "cudnn-adv": 'keep = ["cudnn"]',
      "cudnn-train": 'keep = ["cudnn"]',
    });
  });

  it("keeps what the code calls, with the place", () => {
    const calls = callsIn("import torch\n\ndef spectrum(x):\n    return torch.fft.rfft(x)\n", "app/fft.py");
    expect(decide({ calls }).kept).toEqual({ cufft: "app/fft.py:4 uses torch.fft.rfft" });
  });

  it("keeps what distributions are known to call, or ask for themselves", () => {
    const whisper = [...torch, distribution("openai-whisper", "20240930", ["app"])];
    expect(decide({ distributions: whisper }).kept).toEqual({ cufft: "openai-whisper 20240930 uses it" });
    const onnx = [...torch, distribution("onnxruntime-gpu", "1.20.1", ["app"])];
    expect(Object.keys(decide({ distributions: onnx }).kept)).toEqual(["cudnn-adv", "cufft"]);
    const cudnn = (version: string) =>
      torch.map((each) => (each.name === "nvidia-cudnn-cu12" ? { ...each, version } : each));
    expect(decide({ distributions: cudnn("8.9.2.26") }).kept).toEqual({});
    expect(decide({ distributions: cudnn("9.10.2.21") }).kept).toEqual({
      nvrtc: "nvidia-cudnn-cu12 9.10.2.21 uses it",
    });
    const asked = torch.map((each) =>
      each.name === "triton" ? distribution("triton", "2.3.1", ["torch", "vllm-extra"]) : each,
    );
    expect(decide({ distributions: asked }).kept).toEqual({});
    expect(decide({ distributions: [...asked, distribution("vllm-extra", "1.0")] }).kept).toEqual({
      triton: "vllm-extra 1.0 asks for it",
    });
  });

  it("says nothing of parts that nothing brings", () => {
    const calls = callsIn("import torch\nnet = torch.compile(net)\n", "a.py");
    expect(decide({ calls }).kept).toEqual({ triton: "a.py:2 uses torch.compile" });
    const without = torch.filter(({ name }) => name !== "triton");
    expect(decide({ calls, distributions: without }).kept).toEqual({});
    expect(decide({ calls, distributions: [distribution("torch", "2.1.0+cu118")] }).kept).toHaveProperty("triton");
  });

  it("takes no pin of the project's own for a wish: frozen requirements name everything", () => {
    const frozen = torch.map((each) => ({ ...each, requiredBy: ["app"] }));
    expect(decide({ distributions: frozen }).kept).toEqual({});
  });

  it("leaves out what drop says whatever else does, and warns of it", () => {
    const calls = callsIn("from torch import nn\nnet = nn.LSTM(1, 1)\n", "app/net.py");
    const { leftOut, sources, notes } = decide({ profile: "full", drop: ["cudnn-adv"], calls });
    expect(leftOut).toEqual(["cudnn-adv"]);
    expect(sources["cudnn-adv"]).toBe("config images.worker.gpu drop");
    expect(notes).toEqual([
      expect.objectContaining({
        level: "warning",
        message: "cuDNN for sequences is left out as drop says, and app/net.py:2 uses torch.nn.LSTM",
      }),
    ]);
  });

  it("brings back nothing for a part that is dropped itself", () => {
    const calls = callsIn("import torch\nx = torch.linalg.inv(a)\n", "a.py");
    expect(decide({ drop: ["cusolver"], calls }).kept).toEqual({});
  });
});

describe("what code calls of CUDA", () => {
  const parts = (source: string) => [...new Set(callsIn(source, "a.py").map(({ part }) => part))].toSorted();

  it.each([
    ["import torch.fft", ["cufft"]],
    ["import torch\nx = torch.fft.rfft(y)", ["cufft"]],
    ["import torch as t\nx = [t.fft.fft2(y) for y in ys]", ["cufft"]],
    ["from torch import fft\nx = fft.rfft(y)", ["cufft"]],
    ["from torch.fft import (\n    rfft,\n)\n", ["cufft"]],
    ["import torch\nx = audio.stft(512)", ["cufft"]],
    ["import torch\nx = torch.linalg.inv(y)", ["cusolver"]],
    ["import torch.linalg as LA\nx = LA.svd(y)", ["cusolver"]],
    ["import torch\nx = torch.linalg.norm(y)", []],
    ["from torch.linalg import norm, vector_norm", []],
    ["import torch.linalg", ["cusolver"]],
    ["import torch\nx = y.pinverse()", ["cusolver"]],
    ["import numpy as np\nx = np.linalg.inv(y)", []],
    ["import torch.distributed as dist\nif dist.is_available() and dist.is_initialized(): pass", []],
    ["import torch.distributed as dist\ndist.init_process_group('nccl')", ["nccl"]],
    ["from torch.nn.parallel import DistributedDataParallel as DDP", ["nccl"]],
    ["import torch\nnet = torch.compile(net)", ["triton"]],
    ["import triton\nimport triton.language as tl", ["triton"]],
    ["import torch\n@torch.compile\ndef f(x): return x", ["triton"]],
    [
      "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        self.rnn = nn.GRU(3, 4)",
      ["cudnn-adv"],
    ],
    ["import torch\nnet = torch.jit.load('m.pt')", ["nvrtc"]],
    ["import torch\nif torch.jit.is_scripting(): pass", []],
    ["import torch\nx = torch.sparse_coo_tensor(i, v)", ["cusparse"]],
    ["import torch\nloss.backward()\nopt = torch.optim.SGD(p)", ["cudnn-train"]],
    ["import torch\nwith torch.profiler.profile() as p: pass", ["cupti"]],
    ["from torch.utils import cpp_extension\ncpp_extension.load('x')", ["headers"]],
    ["import cupy", ["cufft", "curand", "cusolver", "cusparse", "headers", "nvjitlink", "nvrtc"]],
    ["import torchaudio", ["cufft"]],
    ["from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch.fft", []],
    ["import torch\nx = torch.nn.functional.conv2d(a, b)\nwith torch.no_grad(): y = net(x).softmax(1)", []],
    ["x = 'import torch.fft'", []],
    ["import mytorch\nmytorch.fft.rfft(x)", []],
    ["", []],
  ])("%j", (source, expected) => {
    expect(parts(source)).toEqual(expected);
  });

  it("is found in any text without a fault, on lines that it has", () => {
    const piece = fc.constantFrom(
      "torch",
      ".",
      "fft",
      "(",
      ")",
      "\n",
      "    ",
      "import ",
      "from ",
      " as t",
      "'",
      '"""',
      "=",
      ":",
      "é",
    );
    const text = fc.array(fc.oneof(piece, fc.string()), { maxLength: 40 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(text, (body) => {
        const source = `import torch\n${body}`;
        const lines = source.split(/\r\n|\r|\n/).length;
        for (const { line } of callsIn(source, "a.py")) expect(line >= 1 && line <= lines).toBe(true);
      }),
    );
  });

  it("tells the line of the first of each", () => {
    const calls = callsIn("import torch\n\n\ndef f(x):\n    return torch.fft.rfft(x) + torch.fft.fft(x)\n", "a/b.py");
    expect(calls[0]).toEqual({ part: "cufft", file: "a/b.py", line: 5, name: "torch.fft.rfft" });
  });
});
