import { describe, expect, it } from "vitest";

import type { DescribedImage } from "../../../src/plan/describe-image.ts";
import type { Environment } from "../../../src/plan/environment.ts";
import type { GpuPlan } from "../../../src/plan/image-plan.ts";
import { type GpuParts, planDevice, withGpu } from "../../../src/plan/gpu/plan-device.ts";
import type { DeviceOutcome } from "../../../src/plan/gpu/outcome.ts";
import type { Resolution } from "../../../src/resolve/resolution.ts";

const resolution = {
  distributions: [
    { name: "nvidia-cuda-runtime-cu12", version: "12.1.105", requiredBy: ["torch"] },
    { name: "nvidia-cufft-cu12", version: "11.0.2.54", requiredBy: ["torch"] },
    { name: "torch", version: "2.3.1", requiredBy: [] },
  ],
} as unknown as Resolution;
const code = { sources: new Map([["jobs.py", "import torch\nx = torch.fft.rfft(y)\n"]]), key: "k" };
const gpu: GpuPlan = {
  cuda: "12.1",
  minDriver: "525.60.13",
  targets: ["a10"],
  capabilities: ["8.6"],
  profile: "inference",
};

const run = {
  name: "worker",
  config: {
    entrypoint: { value: ["/usr/bin/tini", "--"], source: "default" },
    labels: { "sheaf.cuda.profile": { value: "mine", source: "config" }, zone: { value: "a", source: "config" } },
  },
} as unknown as DescribedImage["run"];

const debian = { kind: "debian", codename: "bookworm" } as GpuParts["base"];

const outcome: DeviceOutcome = {
  before: 1000,
  after: 300,
  libraries: [
    { path: "nvidia/nccl/lib/libnccl.so.2", before: 100, after: 10, outcome: "stubbed", part: "nccl" },
    { path: "torch/lib/libtorch_cuda.so", before: 900, after: 290, outcome: "trimmed" },
    { path: "torch/lib/odd.so", before: 9, after: 9, outcome: "whole", note: "its table is odd" },
    {
      path: "torchvision.libs/libnvjpeg.f00ca762.so.12",
      before: 9,
      after: 9,
      outcome: "whole",
      note: "it is NVIDIA's own",
    },
  ],
  restored: [{ part: "cufftw", neededBy: "site-packages/other/_c.so" }],
  calls: {
    trainer: [
      { part: "nccl", file: "trainer/d.py", line: 3, name: "torch.distributed.barrier" },
      { part: "cupti", file: "trainer/p.py", line: 9, name: "torch.profiler.profile" },
    ],
  },
};

async function finished(more: GpuPlan = {}, device?: DeviceOutcome) {
  const wanted = { ...gpu, ...more };
  const planned = await planDevice({ image: "worker", gpu: wanted, resolution, code, reached: ["jobs.py"] });
  const environment = {
    layout: { executable: "/usr/local/bin/python3.12" },
    packages: [],
    distributions: [{ name: "trainer", version: "1.0" }],
    ...(device ? { device } : {}),
  } as unknown as Environment;
  const parts: GpuParts = { gpu: wanted, planned, environment, resolution, run, base: debian, files: [] };
  return { planned, ...withGpu(parts) };
}

describe("the plan of an image for GPUs", () => {
  it("asks for targets and for what goes; what the code calls is not among it", async () => {
    const { planned } = await finished();
    expect(planned.request?.targets).toEqual([86]);
    expect(planned.request?.leaveOut).toContain("nccl");
    expect(planned.request?.leaveOut).not.toContain("cufft");
    expect(planned.decision.kept).toEqual([{ part: "cufft", source: "jobs.py:2 uses torch.fft.rfft" }]);
  });

  it("asks for nothing without targets and with all of CUDA", async () => {
    const { planned, plan } = await finished({ profile: undefined, capabilities: undefined, targets: undefined });
    expect(planned.request).toBeUndefined();
    expect(plan.device).toBeUndefined();
    expect(plan.config.labels).not.toHaveProperty("sheaf.cuda.targets");
  });

  it("starts behind the preflight, whose file is in the image, and has labels that a person's own outdo", async () => {
    const { plan } = await finished({}, outcome);
    expect(plan.config.entrypoint.value).toEqual([
      ...["/usr/bin/tini", "--", "/usr/local/bin/python3.12", "-I", "-S", "/usr/lib/sheaf/gpu_preflight.py"],
    ]);
    expect(plan.files).toEqual([expect.objectContaining({ path: "usr/lib/sheaf/gpu_preflight.py", mode: 0o644 })]);
    expect(plan.files[0]?.text).toMatch(/"8\.6"/);
    expect(Object.entries(plan.config.labels).map(([name, { value }]) => `${name}=${value}`)).toEqual([
      "sheaf.cuda.left-out=nccl",
      "sheaf.cuda.min-driver=525.60.13",
      "sheaf.cuda.profile=mine",
      "sheaf.cuda.targets=8.6",
      "sheaf.cuda.version=12.1",
      "zone=a",
    ]);
  });

  it("has no preflight where no CUDA is known to ask for", async () => {
    const { plan } = await finished({ cuda: undefined, minDriver: undefined });
    expect(plan.files).toEqual([]);
    expect(plan.config.entrypoint).toEqual(run.config.entrypoint);
  });

  it("tells what went, what came back, what stayed whole and what could be called", async () => {
    const { plan, notes } = await finished({}, outcome);
    expect(plan.device?.leftOut).toEqual([
      {
        name: "nccl",
        source: "profile inference",
        does: "several GPUs at one task: torch.distributed, DataParallel",
        dropped: 0,
        stubbed: 1,
        bytes: 90,
      },
    ]);
    expect(plan.device?.kept).toEqual([
      { name: "cufft", source: "jobs.py:2 uses torch.fft.rfft" },
      { name: "cufftw", source: "_c.so needs it" },
    ]);
    expect(notes.map(({ message }) => message)).toEqual([
      "cuFFT under FFTW's names stays although the profile leaves it out: _c.so does not load without it",
      "odd.so keeps all its device code: its table is odd",
      "trainer 1.0 can call parts of CUDA that are left out: nccl (torch.distributed.barrier, trainer/d.py:3)",
    ]);
  });

  it("warns of what compiles as it runs, where there is no compiler", async () => {
    const compiling = { sources: new Map([["jobs.py", "import torch\nnet = torch.compile(net)\n"]]), key: "c" };
    const planned = await planDevice({ image: "worker", gpu, resolution, code: compiling, reached: ["jobs.py"] });
    const warningsIn = (packages: string[], base: GpuParts["base"] = debian) => {
      const environment = {
        layout: { executable: "/usr/bin/python3" },
        distributions: [],
        packages: packages.map((name) => ({ name })),
      } as unknown as Environment;
      return withGpu({ gpu, planned, environment, resolution, run, base, files: [] }).notes.map(
        ({ message }) => message,
      );
    };
    expect(warningsIn(["libc6"])).toEqual([
      "torch.compile (jobs.py:2) compiles as it runs, with a C compiler and Python's headers, and neither is in the image",
    ]);
    expect(warningsIn(["gcc-12"])).toEqual([]);
    expect(warningsIn([], { kind: "image", reference: "python:3.12", digest: "", source: "--base" })).toEqual([]);
  });

  it("warns with the licence's words when NVIDIA's own libraries are changed", async () => {
    const { notes, plan } = await finished({ pruneNvidia: true }, outcome);
    expect(notes).toContainEqual({
      hint: "config images.worker.gpu prune-nvidia",
      level: "warning",
      message: expect.stringMatching(/licence for CUDA \(section 1\.2\)/),
    });
    expect(plan.config.labels["sheaf.cuda.nvidia-modified"]?.value).toBe("true");
  });
});
