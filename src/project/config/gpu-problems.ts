import { cudaSupports, parseGpuTargets } from "../../cuda/gpus.ts";
import { partNames, partsNamed, withNeeds } from "../../cuda/profiles.ts";
import { capabilityName } from "../../cuda/architecture.ts";
import { didYouMean } from "../../did-you-mean.ts";
import { SheafError } from "../../errors.ts";
import { isTable, tableAt, type TomlTable } from "../toml.ts";
import type { ConfigProblem } from "./config-problem.ts";

/** What `[tool.sheaf.images.NAME] gpu` and `gpu-targets` of contracts say that makes no sense: GPUs, releases and parts of CUDA that there are not. */
export function gpuProblems(config: TomlTable): ConfigProblem[] {
  const ofImages = Object.entries(tableAt(config, "images")).flatMap(([name, image]) => {
    if (!isTable(image)) return [];
    const { gpu, contract } = image;
    return [
      ...(isTable(gpu) ? problemsOf(gpu, ["images", name, "gpu"]) : []),
      ...promiseProblems(contract, ["images", name, "contract"]),
    ];
  });
  return [...ofImages, ...promiseProblems(config["contract"], ["contract"])];
}

/** GPUs of a contract. */
function promiseProblems(contract: unknown, path: string[]): ConfigProblem[] {
  if (!isTable(contract)) return [];
  return texts(contract["gpu-targets"]).flatMap((target, index) =>
    asProblem(targetProblem(target, undefined), [...path, "gpu-targets", String(index)]),
  );
}

function problemsOf(gpu: TomlTable, path: string[]): ConfigProblem[] {
  const { cuda } = gpu;
  const release = typeof cuda === "string" && /^\d{1,2}(?:\.\d{1,2})?$/.test(cuda) ? cuda : undefined;
  return [
    ...(typeof cuda === "string" && release === undefined
      ? [{ path: [...path, "cuda"], message: `${JSON.stringify(cuda)} is not a release of CUDA, for example "12.1"` }]
      : []),
    ...texts(gpu["targets"]).flatMap((target, index) =>
      asProblem(targetProblem(target, release), [...path, "targets", String(index)]),
    ),
    ...(["keep", "drop"] as const).flatMap((key) =>
      texts(gpu[key]).flatMap((name, index) => asProblem(partProblem(name), [...path, key, String(index)])),
    ),
    ...contradictions(gpu, path),
  ];
}

function targetProblem(text: string, cuda: string | undefined): string | undefined {
  try {
    const [target] = parseGpuTargets([text]);
    if (!target) return 'is empty; a GPU is named as "t4", or by its compute capability, "7.5"';
    if (cuda === undefined || cudaSupports(cuda, target.sm) !== false) return undefined;
    return `${JSON.stringify(text)} has compute capability ${capabilityName(target.sm)}, which CUDA ${cuda} does not support (sheaf gpu list)`;
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    const near = error.hints.find((line) => line.startsWith("did you mean"));
    return `${JSON.stringify(text)} is not a known GPU${near === undefined ? "" : `, ${near}`} (sheaf gpu list)`;
  }
}

function partProblem(name: string): string | undefined {
  if (partsNamed(name).length > 0) return undefined;
  const near = didYouMean(name, partNames());
  const known = near === undefined ? `known are ${partNames().join(", ")}` : `did you mean ${near}?`;
  return `${JSON.stringify(name)} is no part of CUDA that can be left out, ${known}`;
}

/** What is to be kept and to be left out, or is needed by what is kept. */
function contradictions(gpu: TomlTable, path: string[]): ConfigProblem[] {
  const kept = texts(gpu["keep"]).flatMap(partsNamed);
  return texts(gpu["drop"]).flatMap((name, index) =>
    partsNamed(name).flatMap((part) => {
      const asking = kept.find((each) => withNeeds([each]).has(part));
      if (asking === undefined) return [];
      const message = asking === part ? "is in keep as well" : `is needed by ${asking}, which is in keep`;
      return [{ path: [...path, "drop", String(index)], message: `${JSON.stringify(name)} ${message}` }];
    }),
  );
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function asProblem(message: string | undefined, path: string[]): ConfigProblem[] {
  return message === undefined ? [] : [{ path, message }];
}
