import type { Command } from "./command.ts";

/** The words of the command line, in the order of a first day's use. */
export const summaries = {
  init: "write a commented [tool.sheaf] with everything that is detected",
  plan: "show what would be built, and where each value comes from",
  build: "build the project's images",
  images: "list the images in the store",
  run: "run an image, with or without a container engine",
  dockerfile: "write the plan as a Dockerfile, with its .dockerignore",
  compose: "write a compose file for all images of the project and what they need",
  kubernetes: "write Kubernetes manifests for all images of the project and what they need",
  verify: "hold an image to its contract",
  contract: "print what sheaf verify would hold an image to",
  inspect: "show layers, sizes and who brought which file",
  gpu: "list GPUs; show, trim or try the device code of CUDA libraries",
  diff: "compare two images: packages, config, files, layers and sizes",
  lock: "write the resolution down as requirements with hashes",
  cache: "show or prune the store",
  completion: "print a completion script for bash, zsh or fish",
} as const;

type Name = keyof typeof summaries;

const loaders: Record<Name, () => Promise<Command>> = {
  init: async () => (await import("./commands/init.ts")).init,
  plan: async () => (await import("./commands/plan.ts")).plan,
  build: async () => (await import("./commands/build.ts")).build,
  images: async () => (await import("./commands/images.ts")).images,
  run: async () => (await import("./commands/run.ts")).run,
  dockerfile: async () => (await import("./commands/dockerfile.ts")).dockerfile,
  compose: async () => (await import("./commands/compose.ts")).compose,
  kubernetes: async () => (await import("./commands/kubernetes.ts")).kubernetes,
  verify: async () => (await import("./commands/verify.ts")).verify,
  contract: async () => (await import("./commands/contract.ts")).contract,
  inspect: async () => (await import("./commands/inspect.ts")).inspect,
  gpu: async () => (await import("./commands/gpu.ts")).gpu,
  diff: async () => (await import("./commands/diff.ts")).diff,
  lock: async () => (await import("./commands/lock.ts")).lock,
  cache: async () => (await import("./commands/cache.ts")).cache,
  completion: async () => (await import("./commands/completion.ts")).completion,
};

/** Loads the code of one command only: the others cost nothing at start-up. */
export function loadCommand(name: string): Promise<Command> {
  return loaders[name as Name]();
}
