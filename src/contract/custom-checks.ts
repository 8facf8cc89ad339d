import type { StaticCheck } from "./check.ts";
import type { Contract, CustomCheckSettings } from "./contract.ts";
import { fail, type Finding, pass } from "./finding.ts";
import type { ImageFacts } from "./facts/image-facts.ts";
import { runCustom } from "./running/custom.ts";
import type { RunningCheck, RunningContext } from "./running/running-check.ts";

/** The checks that a contract brings itself: those of the image's content, and those that need it running. */
export function customChecks(contract: Contract): { static: StaticCheck[]; running: RunningCheck[] } {
  const all = Object.entries(contract.checks);
  return {
    static: all.filter(([, settings]) => !isRunning(settings)).map(([name, settings]) => staticCheck(name, settings)),
    running: all
      .filter(([, settings]) => isRunning(settings))
      .map(([name, settings]) => ({
        ...about(name, settings),
        run: (context: RunningContext) => runCustom(settings, context),
      })),
  };
}

function isRunning({ command, url }: CustomCheckSettings): boolean {
  return command !== undefined || url !== undefined;
}

function about(name: string, settings: CustomCheckSettings): Omit<StaticCheck, "run"> {
  return {
    id: `custom.${name}`,
    title: settings.title ?? describe(settings),
    holds: describe(settings),
    why: settings.why ?? "The contract asks for it.",
    sources: [],
  };
}

function staticCheck(name: string, settings: CustomCheckSettings): StaticCheck {
  return {
    ...about(name, settings),
    run: ({ image, facts }) => {
      const config = image.config.config ?? {};
      const { file, absent, label, env } = settings;
      if (absent !== undefined) return absentFile(absent, facts, settings);
      if (file !== undefined) return presentFile(file, facts, settings);
      if (label !== undefined) return holdsText({ what: `the label ${label}`, text: config.Labels?.[label] }, settings);
      const prefix = `${env ?? ""}=`;
      const value = (config.Env ?? []).find((line) => line.startsWith(prefix))?.slice(prefix.length);
      return holdsText({ what: `the variable ${env}`, text: value }, settings);
    },
  };
}

function presentFile(path: string, facts: ImageFacts, settings: CustomCheckSettings): Finding {
  const found = facts.find(path);
  if (!found) return fail(`${path} is not in the image`, { hint: settings.hint ?? `put ${path} into the image` });
  if (settings.output === undefined) return pass(`${path} is there`);
  return holdsText({ what: path, text: facts.text(path) }, settings);
}

function absentFile(path: string, facts: ImageFacts, settings: CustomCheckSettings): Finding {
  const found = facts.find(path);
  if (!found) return pass(`${path} is not in the image`);
  return fail(`${path} is in the image`, {
    evidence: [`layer ${found.layer} brought it`],
    hint: settings.hint ?? `keep ${path} out of the image`,
  });
}

function holdsText(found: { what: string; text: string | undefined }, settings: CustomCheckSettings): Finding {
  const { what, text } = found;
  if (text === undefined) return fail(`${what} is not set`, { hint: settings.hint ?? `set ${what}` });
  const { output } = settings;
  if (output === undefined) return pass(`${what} is set`);
  if (new RegExp(output).test(text)) return pass(`${what} fits`, { limit: output });
  return fail(`${what} does not fit`, {
    limit: output,
    evidence: [text.slice(0, 200)],
    hint: settings.hint ?? `make it fit ${output}`,
  });
}

function describe({ command, url, file, absent, label, env }: CustomCheckSettings): string {
  if (command) return `${command.join(" ")} succeeds`;
  if (url !== undefined) return `${url} answers`;
  if (absent !== undefined) return `${absent} is not there`;
  if (file !== undefined) return `${file} is there`;
  return label === undefined ? `the variable ${env} is set` : `the label ${label} is set`;
}
