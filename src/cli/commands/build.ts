import { performance } from "node:perf_hooks";

import { assemble } from "../../assemble/assemble.ts";
import { saveImage, withTag } from "../../assemble/stored-images.ts";
import { exitCodes, SheafError } from "../../errors.ts";
import { mendingDamage } from "../../ingest/damaged-input.ts";
import { defaultName } from "../../plan/default-name.ts";
import type { PlanOptions } from "../../plan/options.ts";
import { planImages } from "../../plan/plan-images.ts";
import type { PlannedImage } from "../../plan/planned-image.ts";
import { platformName } from "../../platform.ts";
import { buildText, type BuildView } from "../../report/build-text.ts";
import { formatBytes } from "../../report/text.ts";
import { type Command, type CommandInput, type CommandResult, flagOption, listOption } from "../command.ts";
import type { Context } from "../context.ts";
import { type OutputTarget, parseOutput, writeOutput } from "./output.ts";
import { planOptionDefinitions, planServices, readPlanOptions } from "./plan-options.ts";

export const build: Command = {
  name: "build",
  summary: "build the project's images",
  arguments: [{ name: "directory", summary: "the repository, the working directory unless given" }],
  options: [
    ...planOptionDefinitions,
    { flags: "-t, --tag <name:tag>", summary: "name of the image; project-image:latest unless given", repeat: true },
    { flags: "-o, --output <target>", summary: "type=oci,dest=DIR or type=docker-archive,dest=FILE", repeat: true },
    { flags: "--load", summary: "put the image into the local Docker or Podman" },
    { flags: "--no-cache", summary: "make every layer anew from what was downloaded" },
  ],
  examples: [
    "sheaf build",
    "sheaf build -t demeterai-api:latest --load",
    "sheaf build --image api -o type=oci,dest=dist/api",
  ],
  async run(input, context) {
    const options = readPlanOptions(input);
    const tags = listOption(input, "tag");
    const outputs = listOption(input, "output").map(parseOutput);
    return mendingDamage(context.emit, () => buildAll(input, { options, tags, outputs }, context));
  },
};

interface BuildOptions {
  options: PlanOptions;
  tags: string[];
  outputs: OutputTarget[];
}

async function buildAll(
  input: CommandInput,
  { options, tags, outputs }: BuildOptions,
  context: Context,
): Promise<CommandResult> {
  const started = performance.now();
  const one =
    tags.length > 0 ? "a tag" : outputs.some(({ type }) => type === "docker-archive") ? "a Docker archive" : undefined;
  const { project, images } = await planImages({ ...options, one }, planServices(context));
  const views: BuildView[] = [];
  for (const planned of images) {
    const references =
      tags.length > 0 ? tags.map(withTag) : [withTag(defaultName(project.name.value, planned.plan.name))];
    const view = await buildOne(
      planned,
      { root: project.root, references, outputs, load: flagOption(input, "load"), several: images.length > 1 },
      context,
    );
    views.push({ ...view, seconds: (performance.now() - started) / 1000 });
  }
  return {
    text: (style, width) => buildText(views, style, width),
    json: { images: views.map(jsonOf) },
    exitCode: views.some(overBudget) ? exitCodes.findings : exitCodes.ok,
  };
}

interface BuildRequest {
  root: string;
  references: string[];
  outputs: OutputTarget[];
  load: boolean;
  several: boolean;
}

async function buildOne(
  planned: PlannedImage,
  request: BuildRequest,
  context: Context,
): Promise<Omit<BuildView, "seconds">> {
  const { plan, environment } = planned;
  const built = await assemble(planned, request.root, context.store);
  const delivered: string[] = [];
  for (const reference of request.references) saveImage(context.store, reference, { built, plan, root: request.root });
  for (const output of request.outputs) {
    delivered.push(
      await writeOutput(output, {
        image: built.image,
        references: request.references,
        subfolder: request.several ? plan.name : undefined,
      }),
    );
  }
  if (request.load) delivered.push(...(await loadInto(built.image, request.references, context)));
  const unpacked = built.layers.reduce((sum, { record }) => sum + record.unpackedSize, 0);
  const over = plan.budget && unpacked > plan.budget.value;
  return {
    name: plan.name,
    platform: platformName(plan.platform),
    references: request.references,
    digest: built.image.digest,
    layers: built.layers,
    stripped: environment.stripped,
    ...(plan.gpu ? { device: { gpu: plan.gpu, device: plan.device } } : {}),
    secrets: plan.withheld.filter((each) => each.reason === "secret").map((each) => each.path),
    notes:
      over && plan.budget
        ? [
            ...plan.notes,
            {
              level: "warning",
              message: `${formatBytes(unpacked)} unpacked is over the budget of ${formatBytes(plan.budget.value)} (${plan.budget.source})`,
            },
          ]
        : plan.notes,
    budget: plan.budget?.value,
    delivered,
  };
}

async function loadInto(
  image: Parameters<typeof writeOutput>[1]["image"],
  references: string[],
  context: Context,
): Promise<string[]> {
  const { findEngines } = await import("../../engine/find.ts");
  const [engine] = await findEngines();
  if (!engine) {
    throw new SheafError("SHEAF_NO_ENGINE", "--load found neither Docker nor Podman on this machine", {
      hint: [
        "start one, or name it in DOCKER_HOST",
        "sheaf run runs the image without any engine",
        "-o type=docker-archive,dest=image.tar writes it for docker load",
      ],
    });
  }
  const lines: string[] = [];
  for (const reference of references) {
    const { transferred, seconds } = await engine.load(image, reference, context.emit);
    lines.push(`${reference} is in ${engine.describe()}: ${formatBytes(transferred)} sent in ${seconds.toFixed(1)} s`);
  }
  return lines;
}

function overBudget({ layers, budget }: BuildView): boolean {
  return budget !== undefined && layers.reduce((sum, { record }) => sum + record.unpackedSize, 0) > budget;
}

function jsonOf(view: BuildView): unknown {
  return {
    name: view.name,
    references: view.references,
    platform: view.platform,
    digest: view.digest,
    size: {
      compressed: view.layers.reduce((sum, { record }) => sum + record.size, 0),
      unpacked: view.layers.reduce((sum, { record }) => sum + record.unpackedSize, 0),
    },
    layers: view.layers.map(({ name, record, reused }) => ({
      name,
      digest: record.digest,
      diffId: record.diffId,
      compressed: record.size,
      unpacked: record.unpackedSize,
      kind: record.kind,
      reused,
    })),
    ...(view.device?.device ? { device: view.device.device } : {}),
    seconds: view.seconds,
    notes: view.notes,
  };
}
