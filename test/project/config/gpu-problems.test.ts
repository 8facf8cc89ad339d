import { describe, expect, it } from "vitest";

import { SheafError } from "../../../src/errors.ts";
import { readConfig } from "../../../src/project/config/read-config.ts";

async function problems(gpu: string): Promise<string[]> {
  const text = `[images.worker]\ngpu = ${gpu}\n`;
  try {
    await readConfig([""], (path) => (path === "sheaf.toml" ? text : undefined));
    return [];
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    return error.details.map(
      ([path, message]) => `${path.replace("images.worker.gpu.", "")}: ${message.replace(/ {2}\(line 2\)$/, "")}`,
    );
  }
}

describe("[tool.sheaf.images.NAME] gpu", () => {
  it("takes GPUs in any spelling, a profile, parts to keep and to drop", async () => {
    expect(
      await problems(
        '{ cuda = "12.1", targets = ["T4", "8.6", "sm_90"], profile = "inference", keep = ["cufft", "cudnn"], drop = ["cupti"], prune-nvidia = true }',
      ),
    ).toEqual([]);
    expect(await problems("{}")).toEqual([]);
  });

  it.each([
    ['{ targets = ["t4", "a11"] }', 'targets.1: "a11" is not a known GPU, did you mean a10? (sheaf gpu list)'],
    ['{ targets = [""] }', 'targets.0: is empty; a GPU is named as "t4", or by its compute capability, "7.5"'],
    ['{ cuda = "twelve" }', 'cuda: "twelve" is not a release of CUDA, for example "12.1"'],
    [
      '{ cuda = "12.1", targets = ["b200"] }',
      'targets.0: "b200" has compute capability 10.0, which CUDA 12.1 does not support (sheaf gpu list)',
    ],
    ['{ keep = ["cuft"] }', 'keep.0: "cuft" is no part of CUDA that can be left out, did you mean cufft?'],
    [
      '{ profile = "inferrence" }',
      'profile: "inferrence" is none of full, training, inference, did you mean inference?',
    ],
    ['{ keep = ["cufft"], drop = ["cufft"] }', 'drop.0: "cufft" is in keep as well'],
    ['{ keep = ["cusolver"], drop = ["nvjitlink"] }', 'drop.0: "nvjitlink" is needed by cusolver, which is in keep'],
    ["{ prune_nvidia = true }", "prune_nvidia: unknown key, did you mean prune-nvidia?"],
  ])("%s is told in words", async (gpu, message) => {
    expect(await problems(gpu)).toEqual([message]);
  });

  it("lists the parts that there are for a name that is near none", async () => {
    expect((await problems('{ drop = ["cublas-something-else"] }'))[0]).toMatch(
      /known are cudnn, cudnn-adv, .*triton$/,
    );
  });
});
