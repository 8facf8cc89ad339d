import { describe, expect, it } from "vitest";

import { verdictHtml } from "../../src/report/verdict-html.ts";
import { buildFatBinary } from "../cuda/build-fat-binary.ts";
import { buildLibrary } from "../cuda/build-library.ts";
import { apiParts, file, put, verifyParts } from "../contract/image-dsl.ts";

const library = (sizes: Record<number, number>) =>
  buildLibrary({ fatBinaries: [buildFatBinary(Object.entries(sizes).map(([sm, size]) => ({ sm: Number(sm), size })))] })
    .bytes;

async function pageWith(libraries: Record<string, Uint8Array>, targets?: string): Promise<string> {
  const parts = apiParts();
  for (const [path, bytes] of Object.entries(libraries)) put(parts, file(path, bytes));
  if (targets !== undefined) parts.config.Labels = { ...parts.config.Labels, "sheaf.cuda.targets": targets };
  return verdictHtml(await verifyParts(parts));
}

describe("code for GPUs on the page of a verdict", () => {
  it("is not there where there is none", async () => {
    expect(verdictHtml(await verifyParts(apiParts()))).not.toContain("Code for GPUs");
  });

  it("is a bar for each library, grey for GPUs that the image is not made for", async () => {
    const page = await pageWith(
      { "opt/libone.so": library({ 80: 60_000, 86: 30_000 }), "opt/two/_C.so": library({ 90: 20_000 }) },
      "8.6",
    );
    const [, section = ""] = /<section aria-labelledby="device-code">(.*?)<\/section>/s.exec(page) ?? [];
    expect(section).toContain("0.1 MB in 2 libraries, by the architecture that it is for; made for 8.6");
    // Code for 8.0 runs on 8.6 as well.
    expect(section.match(/<li class="\w+">.*?<\/li>/g)).toEqual([
      '<li class="arch0">sm_80 60 kB</li>',
      '<li class="arch1">sm_86 30 kB</li>',
      '<li class="needless">sm_90 20 kB, for other GPUs</li>',
    ]);
    expect(section.match(/<bdi>.*?<\/bdi>/g)).toEqual(["<bdi>libone.so</bdi>", "<bdi>two/_C.so</bdi>"]);
    expect(section).toMatch(/class="arch0" style="--from:0\.00;--to:66\.\d\d" title="sm_80 60 kB"/);
    expect(section).toContain("sm_80 60 kB, sm_86 30 kB");
  });

  it("puts the small ones of many together, and nothing is grey where nothing is promised", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 25 }, (_, index) => [`opt/lib${index}.so`, library({ 75: 1000 + index, 90: 900 })]),
    );
    const page = await pageWith(many);
    expect(page).toContain("<bdi>5 smaller</bdi>");
    expect(page.match(/class="needless"/g)).toBeNull();
  });
});
