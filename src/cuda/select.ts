import { cubinRunsOn, isEmbedded, ptxRunsOn } from "./architecture.ts";
import type { FatBinary, FatEntry, FatImage } from "./fat-binary.ts";

export interface SelectOptions {
  /** Compute capabilities of the GPUs, as 86. */
  targets: readonly number[];
  /**
   * Machine code of all lower minors stays too, as cuBLAS' documentation asks of those who prune it. The driver itself
   * takes the highest.
   */
  lowerMinors?: boolean;
  /** The newest PTX stays too, so that GPUs which come later can run the library. */
  newestPtx?: boolean;
}

export interface Selection {
  /** The entries that stay, in order. */
  kept: FatEntry[];
  /** Targets for which the fat binary has no code: the library can't use it there, before and after. */
  unserved: number[];
}

/**
 * Chooses what stays of a fat binary as the driver chooses what it loads: for each target the machine code of the same
 * major with the highest minor that is not above it, beside it the code for exactly this capability or family (`a`, `f`);
 * only without any, the newest PTX that is not newer than the target. Nothing stays of a fat binary without code for any
 * target, and everything of those whose form is not known.
 */
export function selectEntries(binary: FatBinary, options: SelectOptions): Selection {
  if (binary.unknown !== undefined) return { kept: binary.entries, unserved: [] };
  const kept = new Set<FatImage>();
  const images = binary.entries.flatMap((entry) => entry.images);
  const unserved: number[] = [];
  for (const target of options.targets) {
    const chosen = imagesFor(images, target, options.lowerMinors === true);
    if (chosen.length === 0) unserved.push(target);
    for (const image of chosen) kept.add(image);
  }
  if (options.newestPtx) for (const image of newest(images.filter(({ kind }) => kind === "ptx"))) kept.add(image);
  return { kept: binary.entries.filter((entry) => entry.images.some((image) => kept.has(image))), unserved };
}

/** What a GPU may use: images of the same architecture are alike to the driver, so all of them. */
export function imagesFor(images: readonly FatImage[], target: number, lowerMinors = false): FatImage[] {
  const cubins = images.filter((image) => image.kind === "cubin" && cubinRunsOn(image.architecture, target));
  const chosen = bestOf(cubins, lowerMinors);
  // Whether an embedded chip takes other chips' code is not documented: without its own, PTX stays beside it.
  const isSure = !isEmbedded(target) || cubins.some(({ architecture }) => architecture.sm === target);
  if (cubins.length > 0 && isSure) return chosen;
  const ptx = images.filter((image) => image.kind === "ptx" && ptxRunsOn(image.architecture, target));
  return [...chosen, ...bestOf(ptx, false)];
}

/** Code for this capability or family alone stays beside the best general code. */
function bestOf(images: FatImage[], all: boolean): FatImage[] {
  const general = images.filter(({ architecture }) => architecture.variant === "");
  const special = images.filter(({ architecture }) => architecture.variant !== "");
  return [...(all ? general : newest(general)), ...special];
}

/** Images of different object files (identifiers) are loaded beside one another, so each has its own newest. */
function newest(images: FatImage[]): FatImage[] {
  const highest = new Map<string, number>();
  for (const { identifier, architecture } of images) {
    highest.set(identifier, Math.max(highest.get(identifier) ?? 0, architecture.sm));
  }
  return images.filter(({ identifier, architecture }) => highest.get(identifier) === architecture.sm);
}
