import { isNvidiaLibrary } from "../cuda/libraries.ts";

/** What is done to the CUDA libraries of a wheel. */
export interface DeviceOptions {
  /** Compute capabilities as 86, 90; empty: all device code stays. */
  targets: number[];
  /** Files that are left out, sorted by path. */
  leaveOut: LeftOut[];
  /** NVIDIA's own libraries, which a wheel of somebody else's may carry, are changed too. Those of nvidia-* need no leave. */
  pruneNvidia?: boolean;
}

/** Files of a wheel that are left out, or replaced by a stub. */
export interface LeftOut {
  /** Path in the wheel, as installed below the library folder; a trailing `*` stands for all that begin so. */
  path: string;
  how: "drop" | "stub";
  /** As settings name the library: `cufft`. */
  library: string;
  /** What brings it back: `keep = ["cufft"]`. */
  setting: string;
}

/** Sizes in bytes, of the libraries together. */
export interface DeviceFacts {
  before: number;
  after: number;
  /** Libraries with device code, and what was left out, sorted by path. */
  libraries: DeviceLibrary[];
}

export interface DeviceLibrary {
  /** In the wheel; the pattern of `leaveOut` where it stands for files that are no libraries. */
  path: string;
  before: number;
  after: number;
  outcome: "trimmed" | "whole" | "dropped" | "stubbed";
  /** Why device code stayed. */
  note?: string;
  /** Targets that it has no code for, and had none: compute capabilities as 86. */
  unserved?: number[];
}

/** Whether the device code of a library may be taken out: NVIDIA's licence gives no leave for its own. */
export function mayTrim(path: string, { device, filename }: { device?: DeviceOptions; filename: string }): boolean {
  if (!device || device.targets.length === 0) return false;
  return device.pruneNvidia === true || filename.startsWith("nvidia_") || !isNvidiaLibrary(path);
}
