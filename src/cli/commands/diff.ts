import { openImageReference } from "../../assemble/open-reference.ts";
import { didYouMean } from "../../did-you-mean.ts";
import type { Side } from "../../diff/compare.ts";
import { type Section, sections } from "../../diff/image-diff.ts";
import { exitCodes, SheafError } from "../../errors.ts";
import { parsePlatform } from "../../platform.ts";
import { type Command, type CommandInput, flagOption, listOption, textOption } from "../command.ts";
import type { Context } from "../context.ts";

export const diff: Command = {
  name: "diff",
  summary: "compare two images: packages, config, files, layers and sizes",
  arguments: [
    { name: "a", summary: "tag or digest, OCI layout, archive, image in Docker, Podman or a registry", required: true },
    { name: "b", summary: "the other one", required: true },
  ],
  options: [
    {
      flags: "--only <section>",
      summary: `compare this alone: ${sections.join(", ")}; repeat or join with commas`,
      repeat: true,
    },
    { flags: "--files", summary: "list every file that differs, instead of counts by owner" },
    { flags: "--platform <platform>", summary: "which image of several platforms" },
  ],
  examples: [
    "sheaf diff demeterai-api docker-daemon:demeterai-api:by-hand",
    "sheaf diff registry.example.test/team/app:1.0 registry.example.test/team/app:1.1 --only distributions,debian",
    "sheaf diff old.tar new.tar --files --json",
  ],
  async run(input, context) {
    const compared = sectionsOf(input);
    const [a, b] = await openBoth(input, context);
    const [{ compareImages }, { readSides }, { diffText }] = await Promise.all([
      import("../../diff/compare.ts"),
      import("../../diff/read-sides.ts"),
      import("../../report/diff-text.ts"),
    ]);
    // The config names the archives of all layers: with the same one there is nothing to read.
    const isSame = a.image.manifest.config.digest === b.image.manifest.config.digest;
    const isAsked = compared.some((section) => section !== "config" && section !== "layers");
    const [left, right] = isAsked && !isSame ? await readSides([a.image, b.image], context.signal) : [];
    const result = compareImages({ ...a, facts: left }, { ...b, facts: right }, compared);
    return {
      json: result,
      text: (style, width) => diffText(result, { style, width, files: flagOption(input, "files") }),
      exitCode: result.equal ? exitCodes.ok : exitCodes.findings,
    };
  },
};

async function openBoth(input: CommandInput, context: Context): Promise<[Side, Side]> {
  const wanted = textOption(input, "platform");
  const platform = wanted === undefined ? undefined : parsePlatform(wanted);
  const sides: Side[] = [];
  for (const name of input.arguments) {
    const { store, offline, emit, signal, directory: folder } = context;
    const opened = await openImageReference(name, { store, offline, emit, signal, folder, platform });
    context.onClose(opened.close);
    sides.push({ title: opened.title, from: opened.from, image: opened.image });
  }
  return sides as [Side, Side];
}

function sectionsOf(input: CommandInput): Section[] {
  const named = listOption(input, "only")
    .flatMap((each) => each.split(","))
    .filter(Boolean);
  for (const name of named) {
    if (isSection(name)) continue;
    const near = didYouMean(name, sections);
    throw new SheafError("SHEAF_OPTION", `--only can't be ${JSON.stringify(name)}`, {
      hint: [...(near ? [`did you mean ${near}?`] : []), `use ${sections.join(", ")}`],
    });
  }
  return named.length === 0 ? [...sections] : sections.filter((section) => named.includes(section));
}

function isSection(name: string): name is Section {
  return (sections as readonly string[]).includes(name);
}
