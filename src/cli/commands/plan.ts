import { mendingDamage } from "../../ingest/damaged-input.ts";
import { planImages } from "../../plan/plan-images.ts";
import { estimateSize } from "../../plan/estimate-size.ts";
import { planText } from "../../report/plan-text.ts";
import type { Command } from "../command.ts";
import { planOptionDefinitions, planServices, readPlanOptions } from "./plan-options.ts";

export const plan: Command = {
  name: "plan",
  summary: "show what would be built, and where each value comes from",
  arguments: [{ name: "directory", summary: "the repository, the working directory unless given" }],
  options: planOptionDefinitions,
  examples: ["sheaf plan", "sheaf plan --image api --json"],
  async run(input, context) {
    const { project, images } = await mendingDamage(context.emit, () =>
      planImages(readPlanOptions(input), planServices(context)),
    );
    const views = images.map((image) => ({ plan: image.plan, size: estimateSize(image) }));
    return {
      text: (style, width) =>
        planText({ name: project.name.value, version: project.version?.value }, views, { style, width }),
      json: { images: views.map((view) => ({ ...view.plan, size: view.size })) },
    };
  },
};
