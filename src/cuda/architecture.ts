/**
 * What device code was compiled for, or what a GPU is: the compute capability as one number (8.6 is 86, 12.0 is 120).
 * Code of the variant `a` runs on that capability alone, of `f` on those of the same family from it on.
 */
export interface Architecture {
  sm: number;
  variant: "" | "a" | "f";
}

/** `sm_90a`; for PTX the toolkit says `compute_90a`. */
export function architectureName({ sm, variant }: Architecture, prefix = "sm_"): string {
  return `${prefix}${sm}${variant}`;
}

/** `8.6` of 86. */
export function capabilityName(sm: number): string {
  return `${Math.floor(sm / 10)}.${sm % 10}`;
}

export function majorOf(sm: number): number {
  return Math.floor(sm / 10);
}

/**
 * Whether machine code may run on a GPU: same major, and a minor that is not above it. Code for embedded chips runs on
 * these alone, as the CUDA programming guide's chapter on binary compatibility says.
 */
export function cubinRunsOn(code: Architecture, gpu: number): boolean {
  if (code.variant === "a") return code.sm === gpu;
  if (code.variant === "f") return isFamilyMember(code.sm, gpu);
  if (code.sm === gpu) return true;
  return majorOf(code.sm) === majorOf(gpu) && code.sm < gpu && !isEmbedded(code.sm);
}

/** Whether the driver can compile PTX for a GPU: any that is not older; of a variant only as its machine code. */
export function ptxRunsOn(code: Architecture, gpu: number): boolean {
  if (code.variant === "a") return code.sm === gpu;
  if (code.variant === "f") return isFamilyMember(code.sm, gpu);
  return code.sm <= gpu;
}

/** Families have begun with Blackwell; 10.x is one, 11.0 and 12.x are others. */
function isFamilyMember(sm: number, gpu: number): boolean {
  return majorOf(sm) === majorOf(gpu) && sm <= gpu;
}

/** Jetson and Drive boards: TX1, TX2, Xavier, Orin, and Thor under its first name. */
export function isEmbedded(sm: number): boolean {
  return [53, 62, 72, 87, 101].includes(sm);
}

/** Orders by number, then plain code before its variants. */
export function byArchitecture(a: Architecture, b: Architecture): number {
  return a.sm - b.sm || variants.indexOf(a.variant) - variants.indexOf(b.variant);
}

const variants = ["", "f", "a"];
