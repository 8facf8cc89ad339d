import * as fs from "node:fs";

import { SheafError } from "../errors.ts";

export function missingProgram(name: string): SheafError {
  return new SheafError("SHEAF_NAMESPACES", `${name} was not found, and running an image without an engine needs it`, {
    hint: [
      "install util-linux and coreutils (apt install util-linux, apk add util-linux)",
      "or run the image in Docker or Podman",
    ],
  });
}

/** Says in words which setting of this machine stands in the way of namespaces. `errors` is what the tools printed. */
export function refusal(
  errors: string,
  readSetting: (file: string) => string | undefined = readKernelSetting,
): SheafError {
  const text = errors.trim();
  const { why, step } = causes.find((cause) => cause.holds(text, readSetting)) ?? unknownCause;
  return new SheafError("SHEAF_NAMESPACES", `this machine does not let an image run without an engine: ${why}`, {
    details: text ? [["the system said", text.split("\n").slice(0, 5).join("\n")]] : [],
    hint: [...step, "or run the image in Docker or Podman"],
  });
}

interface Cause {
  holds(text: string, readSetting: (file: string) => string | undefined): boolean;
  why: string;
  step: string[];
}

const causes: Cause[] = [
  {
    holds: (text) => /^(.*: )?\S+: (command )?not found$/m.test(text),
    why: "a program that it needs is missing",
    step: ["install util-linux, coreutils and findutils"],
  },
  {
    holds: (text) => /unrecognized option|invalid option|unknown option/i.test(text),
    why: "its unshare or nsenter is too old or not util-linux's",
    step: ["install util-linux 2.36 or newer"],
  },
  {
    holds: (_, read) => read("/proc/sys/kernel/unprivileged_userns_clone") === "0",
    why: "kernel.unprivileged_userns_clone is 0",
    step: ["sudo sysctl kernel.unprivileged_userns_clone=1"],
  },
  {
    holds: (_, read) => read("/proc/sys/user/max_user_namespaces") === "0",
    why: "user.max_user_namespaces is 0",
    step: ["sudo sysctl user.max_user_namespaces=15000"],
  },
  {
    holds: (text) => /no space left on device/i.test(text),
    why: "the limit of user namespaces (user.max_user_namespaces) is used up",
    step: ["sudo sysctl user.max_user_namespaces=15000"],
  },
  {
    holds: (_, read) => read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1",
    why: "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1, Ubuntu's default since 23.10)",
    step: ["sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"],
  },
  {
    holds: (text, read) => /\/proc/.test(text) && inContainer(read),
    why: "it is a container whose /proc is masked",
    step: ["start the container with --security-opt systempaths=unconfined --security-opt seccomp=unconfined"],
  },
  {
    holds: (_, read) => inContainer(read) || /^Seccomp:\s*2$/m.test(read("/proc/self/status") ?? ""),
    why: "a seccomp filter forbids user namespaces, as in a container",
    step: ["start the container with --security-opt seccomp=unconfined"],
  },
];

const unknownCause = {
  why: "user namespaces are refused",
  step: ["check that `unshare --user --map-root-user --mount --pid --fork true` works"],
};

function inContainer(read: (file: string) => string | undefined): boolean {
  return read("/.dockerenv") !== undefined || read("/run/.containerenv") !== undefined;
}

function readKernelSetting(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}
