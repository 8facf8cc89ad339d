import { describe, expect, it } from "vitest";

import type { FoundModule } from "../../../src/ingest/python-modules.ts";
import type { IngestedWheel } from "../../../src/ingest/wheel.ts";
import { DistributionCalls } from "../../../src/plan/gpu/distribution-calls.ts";

const site = "usr/local/lib/python3.12/site-packages";

function module(owner: string, file: string, source: string): FoundModule {
  const path = `${site}/${file}`;
  return {
    path,
    isPackage: false,
    owner: { name: owner, key: owner, roots: [site], paths: [path], read: () => Buffer.from(source) },
  };
}

const wheelWith = (...modules: string[]) => ({ facts: { modules } }) as unknown as IngestedWheel;

describe("what distributions call of parts that are left out", () => {
  it("is told with the first place of each, by distribution", () => {
    const calls = new DistributionCalls(["nccl", "cufft"]);
    calls.install([wheelWith("torch", "ultra")]);
    calls.see(module("ultra", "ultra/z.py", "import torch\nx = torch.fft.rfft(y)\n"), ["torch"]);
    calls.see(
      module(
        "ultra",
        "ultra/a.py",
        "import torch\nx = torch.fft.fft(y)\ntorch.distributed.barrier()\nz = torch.linalg.inv(x)\n",
      ),
      ["torch"],
    );
    expect(calls.all()).toEqual({
      ultra: [
        { part: "cufft", file: "ultra/a.py", line: 2, name: "torch.fft.fft" },
        { part: "nccl", file: "ultra/a.py", line: 3, name: "torch.distributed.barrier" },
      ],
    });
  });

  it("is nothing of what is not in the image, and of torch itself", () => {
    const calls = new DistributionCalls(["cufft"]);
    calls.install([wheelWith("torch", "scipy")]);
    calls.see(module("scipy", "scipy/a.py", "import cupy\nx = cupy.fft.fft(y)\n"), ["cupy"]);
    calls.see(module("torch", "torch/fft/__init__.py", "import torch\nx = torch.fft.fft(y)\n"), ["torch"]);
    expect(calls.all()).toEqual({});
  });

  it("reads no module that does not import torch", () => {
    const calls = new DistributionCalls(["cufft"]);
    calls.install([wheelWith("torch")]);
    const unread = module("other", "other/a.py", "");
    unread.owner.read = () => {
      throw new Error("was read");
    };
    calls.see(unread, ["numpy", "torchless"]);
    expect(calls.all()).toEqual({});
  });
});
