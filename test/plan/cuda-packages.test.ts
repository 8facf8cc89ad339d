import { describe, expect, it } from "vitest";

import { isCudaBuild, isCudaDistribution } from "../../src/cuda/distributions.ts";
import type { SheafError } from "../../src/errors.ts";
import { chooseImages, type ImageIntent } from "../../src/plan/choose-images.ts";
import { cudaNotes, refuseCudaInApi } from "../../src/plan/cuda-packages.ts";
import type { EnvironmentDistribution } from "../../src/plan/environment.ts";
import { readProject } from "../../src/project/read-project.ts";
import type { Resolution } from "../../src/resolve/resolution.ts";
import { writeRepository } from "../project/write-repository.ts";

async function intentOf(images: string, files: Record<string, string> = {}): Promise<ImageIntent> {
  const root = writeRepository({
    "main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
    "jobs.py": "from celery import Celery\ncelery = Celery()\n",
    "pyproject.toml": `[project]\nname = "x"\n${images}`,
    ...files,
  });
  const [intent] = chooseImages(await readProject(root));
  if (!intent) throw new Error("no image");
  return intent;
}

const asked: Record<string, string[]> = {
  fastapi: ["x"],
  ultralytics: ["x"],
  torch: ["ultralytics"],
  "nvidia-cublas-cu12": ["torch"],
  "nvidia-nvjitlink-cu12": ["nvidia-cublas-cu12"],
  triton: ["torch"],
  "nvidia-ml-py": ["x"],
};

function resolution(names = Object.keys(asked), more: Partial<Resolution> = {}): Resolution {
  const distributions = names.map((name, index) => ({
    name,
    version: name === "torch" ? "2.3.1" : "1.0",
    kind: "wheel" as const,
    filename: "",
    sha256: "",
    size: 1e8,
    url: "",
    source: `requirements.txt:${index + 1}`,
    requiredBy: asked[name] ?? [],
  }));
  return {
    source: "requirements.txt",
    locked: true,
    distributions,
    localPackages: [],
    warnings: [],
    ...more,
  } as Resolution;
}

function refusal(intent: ImageIntent, of = resolution()): SheafError | undefined {
  try {
    refuseCudaInApi(intent, of);
    return undefined;
  } catch (error) {
    return error as SheafError;
  }
}

const api = '[tool.sheaf.images.api]\ncommand = ["uvicorn", "main:app"]\n';
const worker = '[tool.sheaf.images.worker]\ncommand = ["celery", "-A", "jobs", "worker"]\n';

describe("CUDA in an API", () => {
  it("is refused, with who asks for it, what it weighs, and the ways out", async () => {
    const error = refusal(await intentOf(api));
    expect(error?.code).toBe("SHEAF_API_CUDA");
    expect(error?.message).toBe('the API image "api" would have nvidia-cublas-cu12 and 2 more of CUDA');
    expect(error?.details).toEqual([
      ["asked for by", "nvidia-cublas-cu12 ← torch ← ultralytics ← x"],
      ["pinned in", "requirements.txt:4"],
      ["download", "300 MB"],
    ]);
    expect(error?.hints.join("\n")).toMatch(
      /belongs to a worker[\s\S]*torch==2\.3\.1\+cpu[\s\S]*gpu = \{\} in \[tool\.sheaf\.images\.api\]/,
    );
  });

  it("is told with the index that has torch's CPU build", async () => {
    const builds = [{ name: "torch", version: "2.3.1+cpu", index: "https://index.example.test/cpu" }];
    const error = refusal(await intentOf(api), resolution(undefined, { cpuBuilds: { kind: "offered", builds } }));
    expect(error?.hints).toContain(
      "or lock torch's CPU build, torch==2.3.1+cpu, which https://index.example.test/cpu has",
    );
  });

  it.each([
    ["where the API has a GPU", `${api}gpu = {}\n`, {}],
    [
      "where its Dockerfile starts from CUDA",
      "",
      { Dockerfile: "FROM nvidia/cuda:12.1.1-runtime-ubuntu22.04\nRUN pip install torch\n" },
    ],
    ["in a worker", worker, {}],
  ])("is nobody's business %s", async (_, images, files) => {
    expect(refusal(await intentOf(images, files as Record<string, string>))).toBeUndefined();
  });

  it("is not what only asks a driver, nor torch for the CPU", async () => {
    expect(refusal(await intentOf(api), resolution(["fastapi", "torch", "nvidia-ml-py"]))).toBeUndefined();
  });
});

describe("notes on CUDA in a worker", () => {
  const installed = (names: string[]) =>
    names.map((name) => ({ name, unpacked: 1e9, compressed: 5e8 }) as EnvironmentDistribution);

  it("warn of what it weighs where nothing says that there is a GPU", async () => {
    const [note, ...more] = cudaNotes(await intentOf(worker), resolution(), installed(Object.keys(asked)));
    expect(more).toEqual([]);
    expect(note?.level).toBe("warning");
    expect(note?.message).toContain("3 distributions of CUDA are in it: 3.00 GB unpacked, 1.50 GB compressed");
    expect(note?.hint).toMatch(
      /gpu = \{ targets = \["a10"\] \} in \[tool\.sheaf\.images\.worker\]; without: lock torch's CPU/,
    );
  });

  it("say which builds were taken, from where", async () => {
    const builds = [{ name: "torch", version: "2.3.1+cpu", index: "https://index.example.test/cpu" }];
    const taken = { kind: "taken" as const, builds, leftOut: ["triton"] };
    const [note] = cudaNotes(await intentOf(worker), resolution(["torch"], { cpuBuilds: taken }), installed(["torch"]));
    expect(note?.message).toMatch(
      /torch 2\.3\.1\+cpu from https:\/\/index\.example\.test\/cpu; 1 distribution of CUDA/,
    );
  });

  it("are none for a GPU's worker, and none without CUDA", async () => {
    expect(cudaNotes(await intentOf(`${worker}gpu = {}\n`), resolution(), installed(["triton"]))).toEqual([]);
    expect(cudaNotes(await intentOf(worker), resolution(["fastapi"]), installed(["fastapi"]))).toEqual([]);
  });
});

describe("names of CUDA's distributions", () => {
  it.each([
    "nvidia-cudnn-cu12",
    "nvidia-nvshmem-cu13",
    "nvidia-cublas",
    "triton",
    "pytorch-triton",
    "cuda-bindings",
    "cupy-cuda12x",
    "tensorrt-cu12-libs",
  ])("%s is one", (name) => {
    expect(isCudaDistribution(name)).toBe(true);
  });

  it.each(["nvidia-ml-py", "pynvml", "torch", "tritonclient", "pytorch-triton-rocm", "cuda-tools", "nvidia-dali"])(
    "%s is none",
    (name) => {
      expect(isCudaDistribution(name)).toBe(false);
    },
  );

  it("versions say what they were built for", () => {
    expect(["2.3.1+cu121", "2.8.0+cu130", "1.0+cu12x"].map(isCudaBuild)).toEqual([true, true, false]);
    expect(["2.3.1", "2.3.1+cpu", "1.0+custom"].some(isCudaBuild)).toBe(false);
  });
});
