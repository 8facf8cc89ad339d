import { SheafError } from "./errors.ts";

/** A target in OCI's terms. The host plays no part in it. */
export interface Platform {
  os: "linux";
  architecture: "amd64" | "arm64";
}

/** Parses `linux/amd64`, `linux/arm64/v8`, `amd64`, `x86_64`, `aarch64`. */
export function parsePlatform(text: string): Platform {
  const architecture = architectures[text.replace(/^linux\//, "").replace(/\/v8$/, "")];
  if (architecture) return { os: "linux", architecture };
  throw new SheafError("SHEAF_PLATFORM", `${JSON.stringify(text)} is not a platform that Sheaf builds for`, {
    hint: "use --platform linux/amd64 or --platform linux/arm64",
  });
}

export function platformName(platform: Platform): string {
  return `${platform.os}/${platform.architecture}`;
}

/** The kernel's and Python's name of the architecture, as in `platform.machine()` and wheel tags. */
export function machineOf(platform: Platform): "x86_64" | "aarch64" {
  return platform.architecture === "amd64" ? "x86_64" : "aarch64";
}

/** Debian's multiarch triplet, as in `/usr/lib/x86_64-linux-gnu`. */
export function tripletOf(platform: Platform): string {
  return `${machineOf(platform)}-linux-gnu`;
}

/** The platform of this machine, when Sheaf can build for it. */
export function hostPlatform(): Platform | undefined {
  const architecture = architectures[process.arch];
  return process.platform === "linux" && architecture ? { os: "linux", architecture } : undefined;
}

const architectures: Record<string, Platform["architecture"] | undefined> = {
  amd64: "amd64",
  x64: "amd64",
  x86_64: "amd64",
  arm64: "arm64",
  aarch64: "arm64",
};
