import { cudaSupports, driverFor, parseGpuTargets } from "../../cuda/gpus.ts";
import { capabilityName } from "../../cuda/architecture.ts";
import { SheafError } from "../../errors.ts";
import type { ImageSettings } from "../../project/config/schema.ts";
import type { Distribution } from "../../resolve/resolution.ts";
import type { GpuPlan, PlanNote } from "../image-plan.ts";

type GpuSettings = NonNullable<ImageSettings["gpu"]>;
type Pinned = Pick<Distribution, "name" | "version">;

/** The release of CUDA that distributions bring, `12.1`, and which of them says so. */
export function cudaOfDistributions(distributions: readonly Pinned[]): { release: string; by: string } | undefined {
  const runtime = distributions.find(({ name }) => /^nvidia-cuda-runtime(?:-cu\d+)?$/.test(name));
  const [release] = /^\d+\.\d+/.exec(runtime?.version ?? "") ?? [];
  if (runtime && release !== undefined) return { release, by: `${runtime.name} ${runtime.version}` };
  for (const { name, version } of distributions) {
    const [, major, minor] = /\+cu(\d{2})(\d)\b/.exec(version) ?? [];
    if (major !== undefined) return { release: `${major}.${minor}`, by: `${name} ${version}` };
  }
  return undefined;
}

/**
 * What an image wants of a GPU: as configured, with the release of CUDA that its wheels bring.
 *
 * @throws SheafError SHEAF_CUDA when that is not the one that was asked for, or does not know a target
 */
export function planGpu(image: string, settings: GpuSettings, distributions: readonly Pinned[]): GpuPlan {
  const brought = cudaOfDistributions(distributions);
  const { cuda: asked, targets = [], profile, keep, drop, "prune-nvidia": pruneNvidia } = settings;
  if (asked !== undefined && brought && !isOf(brought.release, asked)) throw otherRelease(image, asked, brought);
  const cuda = brought?.release ?? asked;
  const gpus = parseGpuTargets(targets);
  const unknown = cuda === undefined ? undefined : gpus.find(({ sm }) => cudaSupports(cuda, sm) === false);
  if (unknown && cuda !== undefined) {
    throw new SheafError("SHEAF_CUDA", `CUDA ${cuda} does not support ${unknown.name}, a target of ${image}`, {
      details: [
        ["compute capability", capabilityName(unknown.sm)],
        ["CUDA", brought ? `of ${brought.by}` : `config images.${image}.gpu`],
      ],
      hint: [
        "take wheels that are built for another CUDA",
        "sheaf gpu list shows from which release on a GPU is known",
      ],
    });
  }
  const minDriver = cuda === undefined ? undefined : driverFor(cuda)?.minimum;
  return {
    ...(cuda === undefined ? {} : { cuda }),
    ...(minDriver === undefined ? {} : { minDriver }),
    ...(targets.length > 0 ? { targets, capabilities: gpus.map(({ sm }) => capabilityName(sm)) } : {}),
    ...(profile === undefined ? {} : { profile }),
    ...(keep ? { keep } : {}),
    ...(drop ? { drop } : {}),
    ...(pruneNvidia === true ? { pruneNvidia } : {}),
  };
}

/** `12` asks for any minor. */
function isOf(release: string, asked: string): boolean {
  return release === asked || release.startsWith(`${asked}.`);
}

function otherRelease(image: string, asked: string, brought: { release: string; by: string }): SheafError {
  return new SheafError(
    "SHEAF_CUDA",
    `the image "${image}" is to have CUDA ${asked}, and its wheels bring ${brought.release}`,
    {
      details: [
        ["wanted by", `config images.${image}.gpu cuda`],
        ["brought by", brought.by],
      ],
      hint: [
        `set cuda = "${brought.release}", or leave it out: the wheels decide`,
        `or pin the builds of torch and others that are made for CUDA ${asked}`,
      ],
    },
  );
}

/** What a person should know of an image for GPUs: that its distributions use none, or that all of them are meant. */
export function gpuNotes(image: string, gpu: GpuPlan, distributions: readonly Pinned[]): PlanNote[] {
  if (cudaOfDistributions(distributions)) {
    if (gpu.capabilities) return [];
    const hint = `targets = ["a10"] in [tool.sheaf.images.${image}] gpu; sheaf gpu list has the names`;
    return [{ level: "note", message: "device code for all GPUs stays: targets says which are meant", hint }];
  }
  const cpu = distributions.find(({ name, version }) => name === "torch" && version.endsWith("+cpu"));
  if (!cpu) return [];
  return [
    {
      level: "warning",
      message: `the image "${image}" is for a GPU, and torch ${cpu.version} is built for the CPU alone`,
      hint: "take torch from an index that has it for CUDA, or leave gpu out",
    },
  ];
}
