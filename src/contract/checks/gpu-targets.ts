import { architectureName, capabilityName } from "../../cuda/architecture.ts";
import { cudaLabels } from "../../cuda/labels.ts";
import { isNvidiaLibrary } from "../../cuda/libraries.ts";
import { type Coverage, coverageOfAlike } from "../../cuda/summary.ts";
import { plural } from "../../units.ts";
import type { StaticCheck } from "../check.ts";
import { type DeviceLibrary, deviceLibraries } from "../facts/device-code.ts";
import { fail, type Finding, notApplicable, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";
import { fileName } from "../role.ts";

export const gpuTargets: StaticCheck = {
  id: "gpu.targets",
  title: "there is device code for every promised GPU",
  holds:
    "For each of the contract's `gpu-targets` (else the project's `gpu.targets`, else the label sheaf.cuda.targets): in every library with device code the driver finds some for that GPU, as machine code or as PTX. NVIDIA's own libraries count where the label sheaf.cuda.nvidia-modified says that they were changed; code for one architecture alone (sm_90a) counts for none. Which of a library's fat binaries lack a GPU is told, not judged: from the image alone nobody knows whether its makers ever built them for it.",
  why: "`no kernel image is available for execution on the device` comes with the first kernel, after the model was loaded, on the one kind of node where nobody tried.",
  sources: [
    "CUDA C++ programming guide: binary compatibility, PTX compatibility",
    "measured: torch 2.3.1 for CUDA 12.1 has sm_50 to sm_90 in each of 332 fat binaries, and no PTX",
  ],
  run: ({ image, facts, contract }) => {
    const targets = contract.gpuTargets;
    const labels = image.config.config?.Labels ?? {};
    if (!targets) return withoutTargets(labels[cudaLabels.targets]);
    const names = targets.map(capabilityName).join(", ");
    const all = facts.derived(deviceLibraries);
    if (all.length === 0) {
      return fail("there is no device code in the image", {
        limit: names,
        hint: "install the builds for CUDA of what wants a GPU, or promise none",
      });
    }
    const isModified = labels[cudaLabels.nvidiaModified] === "true";
    const untouched = isModified ? 0 : all.filter(({ file }) => isNvidiaLibrary(file.path)).length;
    const judged = all
      .filter(({ file }) => isModified || !isNvidiaLibrary(file.path))
      .map((each) => served(each, targets));
    const lacking = judged.filter(({ missing }) => missing.length > 0);
    const notes = [...judged.flatMap(({ partly }) => partly), ...judged.flatMap(({ unknown }) => unknown)];
    const [first] = lacking;
    if (!first) {
      return pass(`${names} in ${plural(judged.length, "library", "libraries")}`, {
        limit: names,
        evidence: [...firstOf(notes), ...nvidiaText(untouched)],
      });
    }
    return fail(`${fileName(first.path)} has no code for ${first.missing.map(capabilityName).join(", ")}`, {
      limit: names,
      evidence: firstOf(
        lacking.map(
          ({ path, missing, has }) => `/${path}: nothing for ${missing.map(capabilityName).join(", ")}; it has ${has}`,
        ),
      ),
      hint: "take builds that were compiled for it, keep it when device code is trimmed (gpu.targets), or promise fewer GPUs",
    });
  },
};

function withoutTargets(label: string | undefined): Finding {
  if (label === undefined) return notApplicable("no GPU is promised: gpu-targets");
  return fail(`${cudaLabels.targets} is ${JSON.stringify(label.slice(0, 40))}`, {
    hint: `name compute capabilities: LABEL ${cudaLabels.targets}="7.5,8.6"`,
  });
}

interface Served {
  path: string;
  /** Targets that the driver finds nothing for. */
  missing: number[];
  /** What it has instead: `sm_80, sm_86, compute_90`. */
  has: string;
  /** What is worth knowing of targets that are served in part, or by PTX. */
  partly: string[];
  unknown: string[];
}

function served({ file: { path }, code }: DeviceLibrary, targets: readonly number[]): Served {
  const has = code.code.map(({ kind, architecture }) =>
    architectureName(architecture, kind === "ptx" ? "compute_" : "sm_"),
  );
  // Made for these chips alone, beside another library for the rest; and what is not understood may be anything.
  const isSpecial = code.code.length > 0 && code.code.every(({ architecture }) => architecture.variant !== "");
  const coverage = targets.map((target): [number, Coverage] => [target, coverageOfAlike(code.alike, target)]);
  const isOpen = isSpecial || code.unknown.length > 0;
  return {
    path,
    missing: isOpen
      ? []
      : coverage.flatMap(([target, { machineCode, ptx }]) => (machineCode + ptx === 0 ? [target] : [])),
    has: has.join(", "),
    partly: coverage.flatMap(([target, { machineCode, ptx, nothing }]) =>
      partText({ path, target, machineCode, ptx, nothing }),
    ),
    unknown: code.unknown.map((reason) => `/${path}: ${reason}`),
  };
}

function partText({ path, target, machineCode, ptx, nothing }: Coverage & { path: string; target: number }): string[] {
  const all = machineCode + ptx + nothing;
  if (machineCode + ptx === 0 || machineCode === all) return [];
  const name = capabilityName(target);
  if (machineCode === 0) return [`/${path}: ${name} by PTX, which the driver compiles at the first start`];
  return nothing === 0 ? [] : [`/${path}: ${nothing} of ${all} fat binaries have nothing for ${name}`];
}

function nvidiaText(count: number): string[] {
  return count === 0 ? [] : [`${plural(count, "library", "libraries")} of NVIDIA's own as NVIDIA made them`];
}
