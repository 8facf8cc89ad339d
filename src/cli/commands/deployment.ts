import { SheafError } from "../../errors.ts";
import type { Deployment, ServiceKind } from "../../plan/deployment.ts";
import { describeDeployment } from "../../plan/describe-deployment.ts";
import { sketchImages } from "../../plan/sketch-images.ts";
import type { Project } from "../../project/project.ts";
import { type CommandInput, listOption, type OptionDefinition } from "../command.ts";
import type { Context } from "../context.ts";
import { planServices, readPlanOptions } from "./plan-options.ts";

/** Options of every command that writes manifests. */
export const deploymentOptionDefinitions: OptionDefinition[] = [
  { flags: "--image <name>", summary: "only this image of the project", repeat: true },
  { flags: "--app <module:attribute>", summary: "the application, when it is not found or there are several" },
  {
    flags: "--external <service>",
    summary: "postgres, redis or memcached that is somewhere else: its address has to be set",
    repeat: true,
  },
  { flags: "--no-gpu", summary: "reserve no GPU for images that want one" },
];

/** Reads the project and brings together what manifests are written from; what is worth knowing goes to stderr. */
export async function readDeployment(
  input: CommandInput,
  context: Context,
): Promise<{ project: Project; deployment: Deployment }> {
  const external = listOption(input, "external").map(serviceKind);
  const sketched = await sketchImages(readPlanOptions(input), planServices(context));
  const deployment = describeDeployment(sketched, { external });
  for (const { message, hint } of deployment.notes)
    context.emit({ type: "warning", code: "SHEAF_DEPLOYMENT", message, ...(hint === undefined ? {} : { hint }) });
  return { project: sketched.project, deployment };
}

function serviceKind(text: string): ServiceKind {
  if (text === "postgres" || text === "redis" || text === "memcached") return text;
  throw new SheafError("SHEAF_OPTION", `--external can't be ${JSON.stringify(text)}`, {
    hint: "--external postgres, --external redis or --external memcached",
  });
}
