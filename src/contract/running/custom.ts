import type { CustomCheckSettings } from "../contract.ts";
import { fail, type Finding, pass } from "../finding.ts";
import type { Container } from "./container.ts";
import type { RunningContext } from "./running-check.ts";
import { whenRunning } from "./with-container.ts";

const timeoutMs = 60_000;

/** Runs a check of the contract's own: a command beside the image's, or a request to it. */
export function runCustom(settings: CustomCheckSettings, context: RunningContext): Promise<Finding> {
  return whenRunning(context, async (container) =>
    settings.command ? await runCommand(settings.command, settings, container) : await runRequest(settings, container),
  );
}

async function runCommand(command: string[], settings: CustomCheckSettings, container: Container): Promise<Finding> {
  const wanted = settings.exit ?? 0;
  const { code, stdout, stderr } = await container.exec(command, timeoutMs);
  const printed = `${stdout}${stderr}`;
  if (code !== wanted) {
    return fail(`it ended with exit code ${code}`, {
      limit: `exit code ${wanted}`,
      evidence: lines(printed),
      hint: settings.hint ?? `run it in a container: ${command.join(" ")}`,
    });
  }
  return holdsOutput(printed.trimEnd(), `exit code ${code}`, settings);
}

async function runRequest(settings: CustomCheckSettings, container: Container): Promise<Finding> {
  const url = settings.url ?? "/";
  const parsed = new URL(url, "http://localhost");
  const wanted = settings.status ?? 200;
  const answer = await container.get(`${parsed.pathname}${parsed.search}`, timeoutMs);
  const hint = settings.hint ?? `ask it: curl -i http://localhost${parsed.pathname}`;
  if ("problem" in answer) return fail(`${url} did not answer: ${answer.problem}`, { limit: `status ${wanted}`, hint });
  if (answer.status !== wanted) {
    return fail(`${url} answered ${answer.status}`, { limit: `status ${wanted}`, evidence: lines(answer.body), hint });
  }
  return holdsOutput(answer.body, `status ${answer.status}`, settings);
}

function holdsOutput(text: string, measured: string, { output, hint }: CustomCheckSettings): Finding {
  if (output === undefined || new RegExp(output).test(text)) return pass(measured, output ? { limit: output } : {});
  return fail("its output does not fit", {
    limit: output,
    evidence: lines(text),
    hint: hint ?? `make it fit ${output}`,
  });
}

function lines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-5)
    .map((line) => line.slice(0, 300));
}
