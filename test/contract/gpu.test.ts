import { describe, expect, it } from "vitest";

import type { CheckResult } from "../../src/contract/verdict.ts";
import type { ImageSpec } from "../cuda/build-fat-binary.ts";
import { distribution, elf, gpuParts, type ImageParts, kernels, remove, site, verifyParts } from "./image-dsl.ts";

async function check(id: string, edit: (parts: ImageParts) => void): Promise<CheckResult | undefined> {
  const parts = gpuParts();
  edit(parts);
  return (await verifyParts(parts)).verdict.checks.find((each) => each.id === id);
}

/** An image whose one library has these fat binaries, which promises GPUs. */
const promising = (targets: string[] | undefined, binaries: ImageSpec[][]) => (parts: ImageParts) => {
  remove(parts, `${site}/kernels/_C.so`);
  remove(parts, `${site}/kernels-1.0.dist-info/RECORD`);
  parts.layers[1]?.push(...kernels(binaries).filter(({ path }) => /_C\.so|RECORD/.test(path)));
  parts.settings = {
    ...parts.settings,
    images: {},
    contract: { cuda: "12.1", ...(targets ? { "gpu-targets": targets } : {}) },
  };
};

describe("gpu.targets", () => {
  it.each<[targets: string[], binaries: ImageSpec[][], found: { verdict: string; says: RegExp }]>([
    [["7.5", "a10"], [[{ sm: 75 }, { sm: 80 }]], { verdict: "pass", says: /7\.5, 8\.6 in 1 library/ }],
    [
      ["a10", "h100"],
      [[{ sm: 80 }]],
      { verdict: "fail", says: /_C\.so has no code for 9\.0.*nothing for 9\.0; it has sm_80/ },
    ],
    [
      ["12.0"],
      [[{ sm: 80 }, { kind: "ptx", sm: 90 }]],
      { verdict: "pass", says: /12\.0 by PTX, which the driver compiles/ },
    ],
    // Some of torch's newest kernels are for newer chips alone.
    [
      ["t4", "a10"],
      [[{ sm: 75 }, { sm: 86 }], [{ sm: 80 }]],
      { verdict: "pass", says: /1 of 2 fat binaries have nothing for 7\.5/ },
    ],
    [["a10"], [[{ sm: 90, variant: "a" }]], { verdict: "pass", says: /8\.6 in 1 library/ }],
    [["a10"], [[{ kind: 77, sm: 90 }]], { verdict: "pass", says: /device code of kind 77/ }],
  ])("%j of %j: %j", async (targets, binaries, { verdict, says }) => {
    const found = await check("gpu.targets", promising(targets, binaries));
    expect(found).toMatchObject({ verdict });
    expect([found?.measured, ...(found?.evidence ?? [])].join(" ")).toMatch(says);
  });

  it("takes the label's where nobody else promises any", async () => {
    const labelled = (text: string) => (parts: ImageParts) => {
      promising(undefined, [[{ sm: 80 }]])(parts);
      parts.config.Labels = { ...parts.config.Labels, "sheaf.cuda.targets": text };
    };
    expect(await check("gpu.targets", labelled("8.0,8.6"))).toMatchObject({ verdict: "pass", limit: "8.0, 8.6" });
    expect(await check("gpu.targets", labelled("7.5"))).toMatchObject({ verdict: "fail", limit: "7.5" });
    expect(await check("gpu.targets", labelled("new ones"))).toMatchObject({
      verdict: "fail",
      hint: expect.stringContaining("7.5,8.6"),
    });
    expect(await check("gpu.targets", promising(undefined, [[{ sm: 80 }]]))).toMatchObject({ verdict: "skipped" });
  });

  it("takes NVIDIA's own libraries as NVIDIA made them, unless they were changed", async () => {
    const withNvidia = (label: string) => (parts: ImageParts) => {
      promising(["t4"], [[{ sm: 75 }]])(parts);
      const [library] = kernels([[{ sm: 86 }]]);
      const files = { "nvidia/cublas/lib/libcublas.so.12": library?.content ?? new Uint8Array() };
      parts.layers[1]?.push(...distribution({ name: "nvidia-cublas-cu12", version: "12.1.3.1", files }));
      parts.config.Labels = { ...parts.config.Labels, "sheaf.cuda.nvidia-modified": label };
    };
    expect(await check("gpu.targets", withNvidia("false"))).toMatchObject({
      verdict: "pass",
      evidence: ["1 library of NVIDIA's own as NVIDIA made them"],
    });
    expect(await check("gpu.targets", withNvidia("true"))).toMatchObject({
      verdict: "fail",
      measured: "libcublas.so.12 has no code for 7.5",
    });
  });

  it("fails where a GPU is promised and nothing could use it", async () => {
    const found = await check("gpu.targets", (parts) => {
      remove(parts, `${site}/kernels/_C.so`);
    });
    expect(found).toMatchObject({ verdict: "fail", measured: "there is no device code in the image", limit: "8.6" });
  });
});

describe("gpu.min-driver", () => {
  const driver =
    (label: string | undefined, env: string[] = []) =>
    (parts: ImageParts) => {
      parts.config.Labels = {
        ...parts.config.Labels,
        ...(label === undefined ? {} : { "sheaf.cuda.min-driver": label }),
      };
      if (label === undefined) delete parts.config.Labels["sheaf.cuda.min-driver"];
      parts.config.Env = [...(parts.config.Env ?? []), ...env];
    };

  it.each([
    // A driver of CUDA 12.0 runs what is built for 12.1.
    ["525.60.13", [], "pass"],
    ["525.60.12", [], "fail"],
    ["535", [], "pass"],
    ["newest", [], "fail"],
    [undefined, ["NVIDIA_REQUIRE_CUDA=cuda>=12.0 brand=tesla,driver>=470"], "pass"],
    [undefined, ["NVIDIA_REQUIRE_CUDA=cuda>=11.8"], "fail"],
    [undefined, [], "fail"],
  ])("label %s, %j: %s", async (label, env, verdict) => {
    expect(await check("gpu.min-driver", driver(label, env))).toMatchObject({ verdict });
  });

  it("warns of code that the driver can't decompress", async () => {
    const compressed = (label: string) => (parts: ImageParts) => {
      promising(["a10"], [[{ sm: 86, storage: "zstd" }]])(parts);
      driver(label)(parts);
    };
    expect(await check("gpu.min-driver", compressed("525.60.13"))).toMatchObject({
      verdict: "warn",
      limit: "550.54.14",
    });
    expect(await check("gpu.min-driver", compressed("550.54.14"))).toMatchObject({ verdict: "pass" });
  });

  it("takes the newest runtime that is there", async () => {
    const found = await check("gpu.min-driver", (parts) => {
      const files = { "nvidia/cu13/lib/libcudart.so.13": elf({ soname: "libcudart.so.13", needed: ["libc.so.6"] }) };
      parts.layers[1]?.push(...distribution({ name: "nvidia-cuda-runtime", version: "13.0.48", files }));
    });
    expect(found).toMatchObject({ verdict: "fail", limit: "580.65.06" });
  });
});
