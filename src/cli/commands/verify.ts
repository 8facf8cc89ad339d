import * as fs from "node:fs";
import * as path from "node:path";

import type { OpenedReference } from "../../assemble/open-reference.ts";
import type { Baseline } from "../../contract/baseline.ts";
import { type CheckAbout, groupOf } from "../../contract/check.ts";
import type { Runtime } from "../../contract/running/runtime.ts";
import type { Verification, VerifyOptions } from "../../contract/verify-image.ts";
import { didYouMean } from "../../did-you-mean.ts";
import { exitCodes, SheafError } from "../../errors.ts";
import type { Style } from "../../report/text.ts";
import { type Command, type CommandInput, type CommandResult, flagOption, listOption, textOption } from "../command.ts";
import type { Context } from "../context.ts";
import { contractOf, contractOptions, openImage, projectFolder } from "./contract.ts";

interface Format {
  file: string[];
  render: (verification: Verification, input: CommandInput) => Promise<string>;
}

/** How a verdict is written, by name; `file` is the ending by which `-o` chooses. */
const formats: Record<string, Format> = {
  sarif: {
    file: [".sarif", ".sarif.json"],
    render: async (verification, input) => {
      const [{ verdictSarif }, { version }] = await Promise.all([
        import("../../report/verdict-sarif.ts"),
        import("../version.ts"),
      ]);
      const file = textOption(input, "dockerfile");
      return verdictSarif(verification, { version, ...(file === undefined ? {} : { file }) });
    },
  },
  json: {
    file: [".json"],
    render: async ({ verdict }) =>
      JSON.stringify((await import("../../report/verdict-json.ts")).verdictJson(verdict), undefined, 2),
  },
  markdown: {
    file: [".md"],
    render: async ({ verdict }) => (await import("../../report/verdict-markdown.ts")).verdictMarkdown(verdict),
  },
  html: {
    file: [".html", ".htm"],
    render: async (verification) => (await import("../../report/verdict-html.ts")).verdictHtml(verification),
  },
  junit: {
    file: [".xml"],
    render: async ({ verdict }) => (await import("../../report/verdict-junit.ts")).verdictJunit(verdict),
  },
};

export const verify: Command = {
  name: "verify",
  summary: "hold an image to its contract",
  arguments: [
    {
      name: "image",
      summary:
        "tag, OCI layout, archive, image in Docker, Podman or a registry; the newest of this folder unless given",
    },
  ],
  options: [
    { flags: "--static", summary: "look at the bytes alone, run nothing; what is not run is told" },
    {
      flags: "--engine <engine>",
      summary: "what runs it: docker, podman, or none (namespaces of this user); the first that is there unless given",
      choices: ["docker", "podman", "none"],
    },
    {
      flags: "--explain <id>",
      summary: "say what a check holds, why, and where that is written; of a group, or all, list the checks",
    },
    ...contractOptions,
    { flags: "--dockerfile <file>", summary: "the Dockerfile that the image was built from: it is checked too" },
    {
      flags: "--target <stage>",
      summary: "stage of the Dockerfile that the image was built of; the last unless given",
    },
    {
      flags: "--rebuild",
      summary:
        "build the project again, clean, unchanged, with a changed line and a changed dependency, and hold that to its limits",
    },
    {
      flags: "--baseline <file>",
      summary: "known failures, each with a reason and the day until which it is accepted",
    },
    { flags: "--format <kind>", summary: "how the verdict is printed", choices: ["text", ...Object.keys(formats)] },
    {
      flags: "-o, --output <file>",
      summary:
        "write the verdict here too, by its ending: .html, .json, .md, .sarif, .xml (JUnit); can be given several times",
      repeat: true,
    },
  ],
  examples: [
    "sheaf verify demeterai-api",
    "sheaf verify python.tar --static",
    "sheaf verify registry.example.test/team/app:1.0 -o verdict.html -o verdict.sarif",
    "sheaf verify --rebuild --dockerfile Dockerfile",
    "sheaf verify --explain config.user",
  ],
  async run(input, context) {
    const id = textOption(input, "explain");
    if (id !== undefined) return explain(id);
    const verification = await verifyFromInput(input, context);
    context.stopProgress();
    for (const file of listOption(input, "output")) await writeReport(file, { verification, input, context });
    return resultOf(verification, input);
  },
};

async function verifyFromInput(input: CommandInput, context: Context): Promise<Verification> {
  const files = listOption(input, "output");
  for (const file of files) formatOf(file);
  const baseline = await readBaselineFile(textOption(input, "baseline"), context.directory);
  const [dockerfile, target] = [textOption(input, "dockerfile"), textOption(input, "target")];
  const [{ verifyImage }, { readImageFacts }, { interestOf }, { readDockerfileFacts }] = await Promise.all([
    import("../../contract/verify-image.ts"),
    import("../../contract/facts/read-image.ts"),
    import("../../contract/interest.ts"),
    import("../../contract/read-dockerfile.ts"),
  ]);
  const opened = await openImage(input, context);
  const { image, name } = opened;
  const contract = await contractOf(opened, input, context);
  const layerOf = (index: number) => ({ id: `${name} ${index}`, group: "layers" });
  for (const index of image.layers.keys())
    context.emit({ type: "work-start", ...layerOf(index), label: `layer ${index + 1}` });
  const facts = await readImageFacts(image, {
    interest: interestOf(contract, image.config.config ?? {}),
    signal: context.signal,
    tasks: context.pool.tasks,
    onLayer: (index) => context.emit({ type: "work-end", ...layerOf(index), reused: false }),
  });
  const running = await runningOf({ image, contract, facts }, input, context);
  const rebuilds = await rebuildsOf({ opened, facts, contract }, input, context);
  return verifyImage({
    name,
    image,
    facts,
    contract,
    signal: context.signal,
    onStart: ({ id, title }) => context.emit({ type: "work-start", id, group: groupOf(id), label: title }),
    onResult: ({ id, group }) => context.emit({ type: "work-end", id, group, reused: false }),
    ...running,
    ...(rebuilds === undefined ? {} : { rebuilds }),
    ...(dockerfile === undefined ? {} : { dockerfile: readDockerfileFacts(dockerfile, context.directory, target) }),
    ...(baseline ? { baseline } : {}),
  });
}

/** What runs the image, opened only: it is closed with the command, however that ends. */
async function runningOf(
  { image, contract, facts }: Pick<VerifyOptions, "image" | "contract" | "facts">,
  input: CommandInput,
  context: Context,
): Promise<Pick<VerifyOptions, "session" | "notRunning">> {
  if (flagOption(input, "static")) return { notRunning: "--static" };
  const { openSession } = await import("../../contract/running/open-session.ts");
  const { store, emit, signal } = context;
  const engine = textOption(input, "engine") as Runtime["kind"] | undefined;
  const composed = async () => (await import("../compose-broker.ts")).composeBroker(context);
  const options = { image, contract, facts, store, emit, signal, composeBroker: composed };
  const session = await openSession({ ...options, ...(engine ? { engine } : {}) });
  if (typeof session === "string") return { notRunning: session };
  context.onClose(() => session.close());
  return { session };
}

/** What builds the project again, opened only: copies and builds go with the command, however that ends. */
async function rebuildsOf(
  { opened, facts, contract }: { opened: OpenedReference } & Pick<VerifyOptions, "facts" | "contract">,
  input: CommandInput,
  context: Context,
): Promise<VerifyOptions["rebuilds"]> {
  if (!flagOption(input, "rebuild")) return undefined;
  if (context.offline) return "--offline: a clean build has to download";
  const { openRebuilds } = await import("../../contract/rebuild/open-rebuilds.ts");
  const { image, stored } = opened;
  const [dockerfile, engine] = [textOption(input, "dockerfile"), textOption(input, "engine")];
  const target = textOption(input, "target");
  const imageName = textOption(input, "image") ?? stored?.plan.name;
  const rebuilds = await openRebuilds({
    project: projectFolder(input, context),
    image,
    facts,
    contract,
    program: [process.execPath, ...process.execArgv, process.argv[1] ?? ""],
    temporary: (prefix) => context.store.makeTemporary(prefix),
    emit: context.emit,
    signal: context.signal,
    ...(imageName === undefined ? {} : { imageName }),
    ...(dockerfile === undefined ? {} : { dockerfile: path.resolve(context.directory, dockerfile) }),
    ...(target === undefined ? {} : { target }),
    ...(engine === "docker" || engine === "podman" ? { engine } : {}),
  });
  if (typeof rebuilds === "string") return rebuilds;
  context.onClose(() => rebuilds.close());
  return rebuilds.rebuilds;
}

async function resultOf(verification: Verification, input: CommandInput): Promise<CommandResult> {
  const { verdict, bugs } = verification;
  const [{ verdictText }, { verdictJson }] = await Promise.all([
    import("../../report/verdict-text.ts"),
    import("../../report/verdict-json.ts"),
  ]);
  for (const bug of bugs) process.stderr.write(`${bug.stack ?? bug.message}\n`);
  const rendered = await formats[textOption(input, "format") ?? "text"]?.render(verification, input);
  const failed = verdict.verdict === "fail" ? exitCodes.findings : exitCodes.ok;
  return {
    json: verdictJson(verdict),
    text: (style: Style, width: number) =>
      rendered ?? [verdictText(verdict, style, width), ...writtenText(listOption(input, "output"), style)].join("\n"),
    exitCode: bugs.length > 0 ? exitCodes.bug : failed,
  };
}

function writtenText(files: readonly string[], style: Style): string[] {
  return files.length === 0 ? [] : [style.dim(`written: ${files.join(", ")}`)];
}

interface Reported {
  verification: Verification;
  input: CommandInput;
  context: Context;
}

async function writeReport(file: string, { verification, input, context }: Reported): Promise<void> {
  const { writeAtomically } = await import("../../host/atomic-file.ts");
  const text = `${(await formatOf(file).render(verification, input)).trimEnd()}\n`;
  await writeAtomically(path.resolve(context.directory, file), [Buffer.from(text)]);
}

function formatOf(file: string): Format {
  const found = Object.values(formats).find((format) => format.file.some((ending) => file.endsWith(ending)));
  if (found) return found;
  const endings = Object.values(formats).flatMap((format) => format.file);
  throw new SheafError("SHEAF_OPTION", `${file} does not tell the format of the report`, {
    hint: `end it with ${endings.join(", ")}`,
  });
}

async function readBaselineFile(file: string | undefined, folder: string): Promise<Baseline | undefined> {
  if (file === undefined) return undefined;
  const { readBaseline } = await import("../../contract/baseline.ts");
  let text: string;
  try {
    text = fs.readFileSync(path.resolve(folder, file), "utf8");
  } catch (cause) {
    throw new SheafError("SHEAF_BASELINE", `the baseline ${file} can't be read: ${(cause as Error).message}`, {
      hint: "check the path",
      cause,
    });
  }
  return readBaseline(file, text, new Date().toISOString().slice(0, 10));
}

/** One check, or all of a group. */
async function explain(id: string): Promise<CommandResult> {
  const [{ allChecks }, { explanationText, checkListText }] = await Promise.all([
    import("../../contract/all-checks.ts"),
    import("../../report/verdict-text.ts"),
  ]);
  const all = allChecks();
  const group = id.replace(/\.\*?$/, "");
  const own = all.filter((check) => id === "all" || check.id.startsWith(`${group}.`));
  if (own.length > 0) {
    return {
      json: own.map(({ id, title }) => ({ id, title })),
      text: (style, width) => checkListText(own, style, width),
    };
  }
  const found = all.find((check) => check.id === id);
  if (!found) throw noSuchCheck(id, all);
  const { title, holds, why, sources } = found;
  return { json: { id, title, holds, why, sources }, text: (style, width) => explanationText(found, style, width) };
}

function noSuchCheck(id: string, all: readonly CheckAbout[]): SheafError {
  const groups = [...new Set(all.map((check) => groupOf(check.id)))];
  const near = didYouMean(id, [...all.map((check) => check.id), ...groups]);
  return new SheafError("SHEAF_OPTION", `there is no check ${JSON.stringify(id)}`, {
    hint: id.startsWith("custom.")
      ? "checks of your own are in the contract: [tool.sheaf.contract.checks]"
      : near
        ? `sheaf verify --explain ${near}`
        : `the groups are ${groups.join(", ")}: sheaf verify --explain files lists one, --explain all every check`,
  });
}
