import { expect, it } from "vitest";

import { filesReplaced } from "../../src/contract/checks/files-waste.ts";
import { resolveContract } from "../../src/contract/contract.ts";
import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { interestOf } from "../../src/contract/interest.ts";
import { imageOf, layerOf } from "../engine/images.ts";

it.each([
  ["var/cache/debconf/templates.dat", "pass"],
  ["var/lib/dpkg/status", "pass"],
  ["var/lib/dpkg/info/libc6.list", "fail"],
  ["usr/lib/libbig.so", "fail"],
])("what a later layer writes to %s again: %s", async (path, verdict) => {
  const big = (text: string) => layerOf([{ path, data: text.repeat(2_000_000) }]);
  const image = imageOf([big("a"), big("b")]);
  const runtime = image.config.config ?? {};
  const contract = resolveContract({ name: "app", runtime });
  const signal = new AbortController().signal;
  const facts = await readImageFacts(image, { interest: interestOf(contract, runtime), signal });
  expect(await filesReplaced.run({ image, facts, contract })).toMatchObject({ verdict });
});
