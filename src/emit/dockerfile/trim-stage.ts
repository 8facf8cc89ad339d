import { SheafError } from "../../errors.ts";
import { type ImageRecipe, venv } from "./recipe.ts";
import { comment, continued } from "./words.ts";

/** Where the trimmed environment lies in its stage. */
export const trimmedFolder = "/opt/trimmed";

/** Name of the build context that Sheaf itself comes in: the folder that it is installed in. */
export const sheafContext = "sheaf";

/**
 * The stage that takes the device code for other GPUs out of what the builder installed.
 *
 * @throws SheafError SHEAF_DOCKERFILE when no targets are configured
 */
export function trimStage({ plan }: ImageRecipe, builder: string): string[] {
  const { capabilities = [], pruneNvidia = false } = plan.gpu?.value ?? {};
  if (capabilities.length === 0) {
    throw new SheafError(
      "SHEAF_DOCKERFILE",
      `--trim needs GPUs that device code is kept for, and "${plan.name}" names none`,
      {
        hint: `set them: [tool.sheaf.images.${plan.name}] gpu = { targets = ["a10"] }`,
      },
    );
  }
  const parts = (plan.device?.leftOut ?? []).map(({ name }) => name);
  return [
    ...comment(
      `Takes out device code for other GPUs than ${capabilities.join(", ")}${parts.length > 0 ? ", and parts of CUDA" : ""}. Sheaf comes in as`,
      "a build context: nothing is fetched for it. Node runs it, and stays behind.",
    ),
    "FROM --platform=$BUILDPLATFORM node:22-slim AS trimmed",
    ...continued([
      `RUN --mount=type=bind,from=${sheafContext},target=/opt/sheaf`,
      `    --mount=type=bind,from=${builder},source=${venv},target=${venv}`,
      `    node /opt/sheaf/dist/cli.js gpu trim ${venv} --targets ${capabilities.join(",")}${pruneNvidia ? " --prune-nvidia" : ""}`,
      ...(parts.length > 0 ? [`    --drop ${parts.join(",")}`] : []),
      `    -o ${trimmedFolder}`,
    ]),
  ];
}
