import { isCudaDistribution } from "../cuda/distributions.ts";
import { SheafError } from "../errors.ts";
import { dependencyChain } from "../resolve/dependency-chain.ts";
import type { CpuBuilds, Distribution, Resolution } from "../resolve/resolution.ts";
import { formatBytes, plural } from "../units.ts";
import type { ImageIntent } from "./choose-images.ts";
import type { EnvironmentDistribution } from "./environment.ts";
import type { PlanNote } from "./image-plan.ts";

/** Bases with CUDA: who starts from one has a GPU in mind. */
const basesWithCuda = /^(?:docker\.io\/)?(?:nvidia\/cuda|pytorch\/pytorch|nvcr\.io\/)/;

/** Whether nothing says that an image gets a GPU: neither its configuration nor the Dockerfile that it has. */
export function isCpuOnly({ settings, dockerfile }: ImageIntent): boolean {
  return settings.gpu === undefined && !basesWithCuda.test(dockerfile?.baseImage?.value ?? "");
}

/**
 * An API has no use for CUDA, which is gigabytes: it comes along when the API is installed with what its workers need.
 * @throws SheafError SHEAF_API_CUDA with who asks for it
 */
export function refuseCudaInApi(intent: ImageIntent, resolution: Resolution): void {
  if (intent.role !== "api" || !isCpuOnly(intent)) return;
  const cuda = resolution.distributions.filter(({ name }) => isCudaDistribution(name));
  const [first] = cuda;
  if (!first) return;
  const more = cuda.length > 1 ? ` and ${cuda.length - 1} more of CUDA` : "";
  throw new SheafError("SHEAF_API_CUDA", `the API image "${intent.name}" would have ${first.name}${more}`, {
    details: [
      ...chainsOf(cuda, resolution.distributions),
      ["pinned in", first.source],
      ...(cuda.every(({ size }) => size !== undefined)
        ? [["download", formatBytes(total(cuda.map(({ size }) => size ?? 0)))] satisfies [string, string]]
        : []),
    ],
    hint: [
      "what computes belongs to a worker: give the API an extra, a group or requirements without it",
      howToHaveCpu(resolution),
      `or say that it has a GPU: gpu = {} in [tool.sheaf.images.${intent.name}]`,
    ],
  });
}

/** Whether a distribution can wait until all are known: gigabytes that an API may be refused. */
export function mayBeRefused(intent: ImageIntent, name: string): boolean {
  return intent.role === "api" && (name === "torch" || isCudaDistribution(name)) && isCpuOnly(intent);
}

/** Each way that leads to CUDA once, with the first part of CUDA at its end. */
function chainsOf(cuda: readonly Distribution[], all: readonly Distribution[]): [string, string][] {
  const chains = new Map<string, string>();
  for (const { name } of cuda) {
    const asking = dependencyChain(all, name)
      .slice(1)
      .filter((each) => !isCudaDistribution(each));
    if (asking.length > 0) chains.set(asking.join(" ← "), chains.get(asking.join(" ← ")) ?? name);
  }
  if (chains.size > 0) return [...chains].slice(0, 4).map(([chain, name]) => ["asked for by", `${name} ← ${chain}`]);
  // The lock doesn't tell who asks; torch's wheels for Linux do.
  const torch = all.find(({ name }) => name === "torch");
  return torch ? [["asked for by", `${cuda[0]?.name} ← torch (${torch.source})`]] : [];
}

function howToHaveCpu({ cpuBuilds, distributions }: Resolution): string {
  const torch = distributions.find(({ name }) => name === "torch")?.version.split("+")[0];
  if (torch === undefined) return "or take builds for the CPU of what asks for it";
  const [offered] = cpuBuilds?.builds ?? [];
  return offered
    ? `or lock torch's CPU build, torch==${offered.version}, which ${offered.index} has`
    : `or lock torch's CPU build, torch==${torch}+cpu, from an index that has it: [[tool.uv.index]], or --extra-index-url`;
}

/** What a person should know of CUDA and of torch's builds in an image that has no GPU, with what they weigh. */
export function cudaNotes(
  intent: ImageIntent,
  resolution: Resolution,
  distributions: readonly EnvironmentDistribution[],
): PlanNote[] {
  if (!isCpuOnly(intent)) return [];
  const { cpuBuilds } = resolution;
  if (cpuBuilds?.kind === "taken") return [takenNote(intent, cpuBuilds)];
  const cuda = distributions.filter(({ name }) => isCudaDistribution(name));
  if (cuda.length === 0) return [];
  const weight = `${formatBytes(total(cuda.map(({ unpacked }) => unpacked)))} unpacked, ${formatBytes(total(cuda.map(({ compressed }) => compressed)))} compressed`;
  return [
    {
      level: "warning",
      message: `nothing says that this image gets a GPU, and ${plural(cuda.length, "distribution")} of CUDA are in it: ${weight}, beside torch's own part`,
      hint: `with a GPU: gpu = { targets = ["a10"] } in [tool.sheaf.images.${intent.name}]; without: ${howToHaveCpu(resolution).replace(/^or /, "")}`,
    },
  ];
}

function takenNote({ name }: ImageIntent, { builds, leftOut }: Extract<CpuBuilds, { kind: "taken" }>): PlanNote {
  const versions = builds.map((build) => `${build.name} ${build.version}`).join(", ");
  const places = [...new Set(builds.map(({ index }) => index))].join(", ");
  const less =
    leftOut.length === 0 ? "" : `; ${plural(leftOut.length, "distribution")} of CUDA that only torch asks for stay out`;
  return {
    level: "note",
    message: `nothing says that this image gets a GPU, so it has ${versions} from ${places}${less}`,
    hint: `gpu = {} in [tool.sheaf.images.${name}] takes the builds for CUDA`,
  };
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}
