import type { ImagePlan, PlannedPackage } from "../../plan/image-plan.ts";
import { byCodeUnit } from "../../order.ts";

/** A Debian package for `apt-get install`, and why it is there. */
export interface WantedPackage {
  name: string;
  reason: string;
}

/**
 * What a plan needs on top of an official slim image: what somebody asked for, what the wheels' libraries link to, tini,
 * and the program that asks for health. apt finds dependencies itself.
 */
export function wantedPackages(plan: ImagePlan): WantedPackage[] {
  const wanted = new Map<string, string>();
  if (plan.config.entrypoint.value[0]?.endsWith("/tini")) wanted.set("tini", "PID 1");
  if (plan.config.health?.value.test[0] === "curl") wanted.set("curl", "asks for health");
  for (const { name, reason } of plan.packages.filter((each) => isWanted(each, plan))) {
    // The change to 64-bit times renamed libraries; apt knows them by their old names, too, and older suites by these alone.
    const known = name.replace(/t64$/, "");
    if (!inSlimImages.has(known) && !wanted.has(known)) wanted.set(known, reason);
  }
  return [...wanted].map(([name, reason]) => ({ name, reason })).toSorted((a, b) => byCodeUnit(a.name, b.name));
}

function isWanted({ reason }: PlannedPackage, plan: ImagePlan): boolean {
  if (reason === "base" || /^dependency(?: of |$)/.test(reason)) return false;
  const neededBy = /, needed by (.*)$/.exec(reason)?.[1];
  return neededBy === undefined || !isInterpreter(neededBy, plan);
}

/** Libraries that CPython itself links to come with the image that has it. */
function isInterpreter(path: string, { python }: ImagePlan): boolean {
  return /(?:^|\/)(?:lib-dynload\/|libpython3|python3(?:\.\d+)?$)/.test(path) || path === python?.layout.executable;
}

/** Libraries of Debian's minimal system and of the official Python images. */
const inSlimImages: ReadonlySet<string> = new Set([
  ...["libc6", "libgcc-s1", "libstdc++6", "libcrypt1", "zlib1g", "libzstd1", "liblz4-1", "libgmp10", "libsystemd0"],
  ...["libssl3", "libsqlite3-0", "libbz2-1.0", "liblzma5", "libffi8", "libuuid1", "libexpat1", "libreadline8"],
  ...["libncursesw6", "libtinfo6", "libgdbm6", "libdb5.3", "ca-certificates", "netbase", "tzdata", "media-types"],
]);
