import { randomBytes } from "node:crypto";

import type { Engine } from "../../engine/engine.ts";
import { exitCodes, SheafError } from "../../errors.ts";
import type { GpuReport } from "../../inspect/gpu-report.ts";
import { type CommandInput, type CommandResult, flagOption, textOption } from "../command.ts";
import type { Context } from "../context.ts";

/** `sheaf gpu check`: of an image, in a container of it with this machine's GPUs; or the program, for wherever the GPU is. */
export async function check(input: CommandInput, context: Context): Promise<CommandResult> {
  if (flagOption(input, "print")) {
    const { checkProgram } = await import("../../cuda/check/program.ts");
    return { text: () => checkProgram.trimEnd(), json: { program: checkProgram } };
  }
  const name = input.arguments[1];
  if (name === undefined) {
    throw new SheafError("SHEAF_OPTION", "sheaf gpu check needs an image", {
      hint: [
        "sheaf gpu check demeterai-worker",
        "sheaf gpu check --print | kubectl exec -i POD -- python3 -   for a container that runs",
      ],
    });
  }
  const engine = await chooseEngine(textOption(input, "engine"));
  const { tag, leave } = await bring(name, { engine, context });
  try {
    const { checkGpu } = await import("../../inspect/check-gpu.ts");
    const report = await checkGpu(engine, tag, {
      python: textOption(input, "python") ?? "python3",
      cpu: flagOption(input, "cpu"),
      models: flagOption(input, "models"),
      signal: context.signal,
    });
    context.stopProgress();
    const { gpuReportText } = await import("../../report/gpu-report-text.ts");
    return {
      json: { image: name, engine: engine.describe(), ...report },
      text: (style, width) => gpuReportText(report, style, width),
      exitCode: codeOf(report),
    };
  } finally {
    await leave();
  }
}

/** What did not run is not fine. */
function codeOf({ verdict }: GpuReport): number {
  return { pass: exitCodes.ok, fail: exitCodes.findings, "not run": exitCodes.user }[verdict];
}

async function chooseEngine(wanted: string | undefined): Promise<Engine> {
  const { findEngine } = await import("../../engine/find.ts");
  for (const kind of ["docker", "podman"] as const) {
    if (wanted !== undefined && wanted !== kind) continue;
    const engine = await findEngine(kind);
    if (engine) return engine;
  }
  throw new SheafError(
    "SHEAF_NO_ENGINE",
    `${wanted ?? "neither Docker nor Podman"} ${wanted ? "does not answer" : "answers"} on this machine`,
    {
      hint: [
        "start it, or name it in DOCKER_HOST",
        "sheaf gpu check --print writes the program, for any Python that has torch",
      ],
    },
  );
}

/** The image by a tag that the engine knows: its own, or one that goes again. */
async function bring(
  name: string,
  { engine, context }: { engine: Engine; context: Context },
): Promise<{ tag: string; leave: () => Promise<void> }> {
  const { listImages, withTag } = await import("../../assemble/stored-images.ts");
  const isStored = listImages(context.store).some(({ reference }) => reference === withTag(name));
  if (!isStored && (await engine.imageId(name)) !== undefined) return { tag: name, leave: async () => undefined };
  const { openImageReference } = await import("../../assemble/open-reference.ts");
  const { store, offline, emit, signal, directory } = context;
  const opened = await openImageReference(name, { store, offline, emit, signal, folder: directory });
  context.onClose(opened.close);
  const tag = `sheaf-gpu-check-${randomBytes(6).toString("hex")}:image`;
  await engine.load(opened.image, tag, emit);
  return { tag, leave: () => engine.removeImage(tag).catch(() => undefined) };
}
