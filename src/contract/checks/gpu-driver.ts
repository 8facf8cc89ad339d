import { driverFor, isOlder, zstdDriver } from "../../cuda/gpus.ts";
import type { StaticCheck, StaticContext } from "../check.ts";
import { cudaReleases, cudaTraces } from "../facts/cuda.ts";
import { deviceLibraries } from "../facts/device-code.ts";
import { environmentOf } from "../facts/programs.ts";
import { fail, notApplicable, pass, warn } from "../finding.ts";
import { firstOf } from "../lists.ts";

export const gpuMinDriver: StaticCheck = {
  id: "gpu.min-driver",
  title: "the image says which driver it needs, and it is no older than its CUDA asks for",
  holds:
    "An image with CUDA has the contract's label for the oldest driver, or NVIDIA_REQUIRE_CUDA; what it says is held against the release of the runtime that is there, of which a whole major runs on the driver of its first minor. Device code that is compressed with zstd needs a newer one than that, which is a warning.",
  why: "On an older driver everything starts, and the first kernel fails; whoever schedules it has nothing to go by, or is misled.",
  sources: [
    "NVIDIA Container Toolkit: NVIDIA_REQUIRE_CUDA",
    "CUDA toolkit release notes, tables 2 and 3",
    "CUDA compatibility: minor version compatibility",
  ],
  run: (context) => {
    const { image, facts, contract } = context;
    if (facts.derived(cudaTraces).length === 0) return notApplicable("there is no CUDA in the image");
    const config = image.config.config ?? {};
    const label = config.Labels?.[contract.driverLabel];
    const required = environmentOf(config).get("NVIDIA_REQUIRE_CUDA");
    const needed = neededDriver(context);
    if (label !== undefined && /^\d{3}(?:\.\d+)*$/.test(label)) {
      if (needed && isOlder(label, needed.driver)) {
        return fail(`driver ${label} is older than CUDA ${needed.release} needs`, {
          limit: needed.driver,
          evidence: firstOf(needed.because),
          hint: `LABEL ${contract.driverLabel}="${needed.driver}"`,
        });
      }
      const compressed = deviceLibraries(facts).filter(({ code }) => code.zstd);
      if (compressed.length === 0 || !isOlder(label, zstdDriver)) return pass(`driver ${label} or newer`);
      return warn(`driver ${label} can't load device code that is compressed with zstd`, {
        limit: zstdDriver,
        evidence: firstOf(compressed.map(({ file }) => `/${file.path}`)),
        hint: `LABEL ${contract.driverLabel}="${zstdDriver}"`,
      });
    }
    if (required) return requirement(required, needed);
    return fail(
      label === undefined
        ? "nothing says which driver is needed"
        : `${contract.driverLabel} is ${JSON.stringify(label.slice(0, 40))}`,
      {
        hint: `LABEL ${contract.driverLabel}="${needed?.driver ?? "530.30.02"}", or ENV NVIDIA_REQUIRE_CUDA="cuda>=${needed?.release ?? "12.1"}"`,
      },
    );
  },
};

interface NeededDriver {
  driver: string;
  /** Of CUDA. */
  release: string;
  /** What in the image says that this release is there. */
  because: string[];
}

/** By the newest runtime that is there; undefined when its release is not known, or too new for what is known of drivers. */
function neededDriver({ facts }: StaticContext): NeededDriver | undefined {
  let newest: NeededDriver | undefined;
  for (const [release, because] of facts.derived(cudaReleases)) {
    // A soname tells the major alone; the driver of any minor will do.
    const driver = driverFor(release.includes(".") ? release : `${release}.0`)?.minimum;
    if (driver !== undefined && (!newest || isOlder(newest.driver, driver))) newest = { driver, release, because };
  }
  return newest;
}

/** `cuda>=12.1 brand=tesla,driver>=525`: alternatives by blanks. The first word on CUDA is what a host is asked for. */
function requirement(text: string, needed: NeededDriver | undefined) {
  const told = `NVIDIA_REQUIRE_CUDA ${text.slice(0, 40)}`;
  const major = Number(/cuda>=(\d+)/.exec(text)?.[1]);
  if (needed && major < Number(needed.release.split(".")[0])) {
    return fail(`${told} lets drivers in that don't know CUDA ${needed.release}`, {
      limit: `cuda>=${needed.release}`,
      evidence: firstOf(needed.because),
      hint: `ENV NVIDIA_REQUIRE_CUDA="cuda>=${needed.release}"`,
    });
  }
  return pass(told);
}
