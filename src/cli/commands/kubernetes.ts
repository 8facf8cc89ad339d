import * as path from "node:path";

import { type Command, flagOption, textOption } from "../command.ts";
import { generatedOptionDefinitions, writeGenerated } from "../write-generated.ts";
import { deploymentOptionDefinitions, readDeployment } from "./deployment.ts";

export const kubernetes: Command = {
  name: "kubernetes",
  summary: "write Kubernetes manifests for all images of the project and what they need",
  arguments: [{ name: "directory", summary: "the repository, the working directory unless given" }],
  options: [
    { flags: "-o, --output <folder>", summary: "where to, kubernetes/ in the repository unless given; - for stdout" },
    { flags: "--keda", summary: "scale workers by the length of their queue; KEDA has to be in the cluster" },
    ...generatedOptionDefinitions,
    ...deploymentOptionDefinitions,
  ],
  examples: [
    "sheaf kubernetes",
    "sheaf kubernetes --keda --check",
    "sheaf kubernetes --external postgres -o deploy/base",
  ],
  async run(input, context) {
    const { project, deployment } = await readDeployment(input, context);
    const [{ kubernetesManifests, manifestCommand }, { hasQueue }] = await Promise.all([
      import("../../emit/kubernetes/manifests.ts"),
      import("../../emit/kubernetes/app-manifests.ts"),
    ]);
    if (flagOption(input, "keda") && !hasQueue(deployment)) {
      context.emit({
        type: "warning",
        code: "SHEAF_DEPLOYMENT",
        message: "no ScaledObject is written: there is no Redis here whose lists could be counted",
        hint: "write one into an overlay, with the address of the broker",
      });
    }
    const files = kubernetesManifests(deployment, {
      // commander makes `gpu: false` of --no-gpu.
      gpu: input.options["gpu"] !== false,
      keda: flagOption(input, "keda"),
    });
    const output = textOption(input, "output");
    if (output === "-") {
      return { text: () => [...files.values()].join("---\n").trimEnd(), json: { files: Object.fromEntries(files) } };
    }
    const folder = output === undefined ? path.join(project.root, "kubernetes") : path.resolve(output);
    return writeGenerated(
      [...files].map(([name, text]) => ({ path: path.join(folder, name), text })),
      {
        check: flagOption(input, "check"),
        force: flagOption(input, "force"),
        owned: { folder, command: manifestCommand },
        next: `kubectl apply -k ${path.relative(process.cwd(), folder) || "."}, once its images are in a registry`,
      },
    );
  },
};
