import { capabilityName } from "../../cuda/architecture.ts";
import { SheafError } from "../../errors.ts";
import { alignColumns, type Style, wrap } from "../../report/text.ts";
import { type Command, type CommandInput, type CommandResult, textOption } from "../command.ts";

export const gpu: Command = {
  name: "gpu",
  summary: "list GPUs; show, trim or try the device code of CUDA libraries",
  arguments: [
    { name: "action", summary: "list (the default), inspect, trim or check" },
    { name: "path", summary: "inspect: a folder, a library or an image; trim: a folder; check: an image" },
  ],
  options: [
    { flags: "--targets <gpus>", summary: "GPUs that code is kept for: t4,a10 or 7.5,8.6", repeat: true },
    { flags: "-o, --output <folder>", summary: "trim: where the trimmed copy is written" },
    { flags: "--prune-nvidia", summary: "trim: NVIDIA's own libraries too; see docs/gpu.md on their licence" },
    {
      flags: "--profile <profile>",
      summary: "trim: leave out parts of CUDA, too; see docs/gpu.md",
      choices: ["full", "training", "inference"],
    },
    { flags: "--keep <parts>", summary: "trim: parts that stay whatever the profile says: cufft,nvrtc", repeat: true },
    { flags: "--drop <parts>", summary: "trim: parts that go whatever the profile says", repeat: true },
    { flags: "--keep-ptx", summary: "trim: keep the newest PTX, for GPUs that come later" },
    { flags: "--check", summary: "inspect: decompress all code, and hold it against what its headers say" },
    { flags: "--cuda <version>", summary: "list: what this CUDA needs and supports" },
    { flags: "--print", summary: "check: print the program, for any Python that has torch" },
    { flags: "--cpu", summary: "check: compute on the CPU where there is no GPU; the verdict stays open" },
    { flags: "--models", summary: "check: whole networks too" },
    { flags: "--python <path>", summary: "check: the interpreter in the image that has torch; python3 unless given" },
    {
      flags: "--engine <engine>",
      summary: "check: what runs the image; the first that answers unless given",
      choices: ["docker", "podman"],
    },
  ],
  examples: [
    "sheaf gpu list --cuda 12.1",
    "sheaf gpu inspect .venv",
    "sheaf gpu inspect .venv --targets t4,l4",
    "sheaf gpu inspect demeterai-worker",
    "sheaf gpu trim .venv --targets t4,a10,h100 -o trimmed",
    "sheaf gpu check demeterai-worker",
    "sheaf gpu check --print | kubectl exec -i POD -- python3 -",
  ],
  async run(input, context) {
    const action = input.arguments[0] ?? "list";
    if (action === "list") return list(input);
    if (action === "inspect") return (await import("../gpu/inspect.ts")).inspectCode(input, context);
    if (action === "trim") return (await import("../gpu/trim.ts")).trim(input, context);
    if (action === "check") return (await import("../gpu/check.ts")).check(input, context);
    throw new SheafError("SHEAF_OPTION", `sheaf gpu knows no ${JSON.stringify(action)}`, {
      hint: [
        "sheaf gpu list",
        "sheaf gpu inspect PATH|IMAGE",
        "sheaf gpu trim FOLDER --targets t4 -o FOLDER",
        "sheaf gpu check IMAGE",
      ],
    });
  },
};

async function list(input: CommandInput): Promise<CommandResult> {
  const { cudaSupports, driverFor, gpuFamilies } = await import("../../cuda/gpus.ts");
  const cuda = textOption(input, "cuda");
  const driver = cuda === undefined ? undefined : driverFor(cuda);
  if (cuda !== undefined && !driver) {
    throw new SheafError("SHEAF_OPTION", `no CUDA ${JSON.stringify(cuda)} is known`, { hint: "--cuda 12.1" });
  }
  const families = gpuFamilies.filter(({ sm }) => cuda === undefined || cudaSupports(cuda, sm) === true);
  const json = families.map(({ sm, architecture, names, since, lastMajor }) => ({
    capability: capabilityName(sm),
    architecture,
    names,
    since,
    ...(lastMajor === undefined ? {} : { lastMajor }),
  }));
  return {
    json: { gpus: json, ...(driver ? { cuda, driver } : {}) },
    text: (style, width) =>
      [
        ...(driver ? [`CUDA ${cuda} needs driver ${driver.minimum} or newer${complete(driver.complete)}`, ""] : []),
        ...gpuRows(json, style, width),
      ].join("\n"),
  };
}

function complete(version: string | undefined): string {
  return version === undefined ? "" : `; it came with ${version}`;
}

function gpuRows(
  gpus: { capability: string; architecture: string; names: readonly string[]; since: string; lastMajor?: number }[],
  style: Style,
  width: number,
): string[] {
  const namesWidth = Math.max(30, width - 40);
  const rows = gpus.flatMap(({ capability, architecture, names, since, lastMajor }) =>
    wrap(names.join(" "), namesWidth).map((line, index) =>
      index === 0
        ? [capability, architecture, `${since}${lastMajor === undefined ? "+" : ` to ${lastMajor}`}`, line]
        : ["", "", "", line],
    ),
  );
  return alignColumns([["capability", "architecture", "CUDA", "names"].map((cell) => style.dim(cell)), ...rows]);
}
