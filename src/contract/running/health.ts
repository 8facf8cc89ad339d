import type { RunningCheck } from "./running-check.ts";
import { fail, notApplicable, pass } from "../finding.ts";
import { missingInBody } from "./http.ts";
import { secondsText } from "./texts.ts";
import { whenRunning } from "./with-container.ts";

export const runtimeHealth: RunningCheck = {
  id: "runtime.health",
  title: "the health URL answers in time under load, and right",
  holds:
    "As many requests at once as the contract's `concurrency`, each over a connection of its own, get 200 within `answer` seconds, with every field of `health-body`; other fields may be there.",
  why: "A check that waits behind the requests that it should judge gets a server that is merely busy restarted, under load, when it is needed most.",
  sources: ["Kubernetes: Configure Liveness, Readiness and Startup Probes", "Dockerfile reference: HEALTHCHECK"],
  run: (context) =>
    whenRunning(context, async (container, session) => {
      const { contract } = context;
      const { path } = session.target;
      if (path === undefined || container.port === undefined) return notApplicable("it answers no HTTP");
      const timeoutMs = contract.answer * 1000 + 2000;
      const asked = Array.from({ length: contract.concurrency }, () => container.get(path, timeoutMs));
      const answers = await Promise.all(asked);
      const limit = secondsText(contract.answer);
      const wrong = answers.flatMap((answer) => {
        if ("problem" in answer) return [answer.problem];
        if (answer.status !== 200 && (path !== "/" || contract.healthUrl !== undefined || answer.status >= 500))
          return [`status ${answer.status}`];
        return [];
      });
      if (wrong.length > 0) {
        return fail(`${wrong.length} of ${answers.length} requests at once were not answered well`, {
          limit: `200 within ${limit}`,
          evidence: [...new Set(wrong)].slice(0, 5),
          hint: "let the health URL do nothing that waits for others: no query, no lock, no thread pool",
        });
      }
      const good = answers.flatMap((answer) => ("problem" in answer ? [] : [answer]));
      const worst = Math.max(...good.map(({ seconds }) => seconds));
      const lacking = contract.healthBody && good.map(({ body }) => missingInBody(body, contract.healthBody ?? {}));
      const missing = lacking?.find((each) => each !== undefined);
      const evidence = [`GET ${path}: ${(good[0]?.body ?? "").slice(0, 200)}`];
      if (missing !== undefined) {
        return fail(missing, {
          limit: JSON.stringify(contract.healthBody),
          evidence,
          hint: "answer what the contract's health-body promises, or change the promise",
        });
      }
      const figure = { measured: worst, limit: contract.answer, unit: "seconds" as const };
      if (worst > contract.answer) {
        return fail(`the slowest of ${good.length} answers took ${secondsText(worst)}`, {
          limit,
          evidence,
          figure,
          hint: "let the health URL do nothing that waits for others: no query, no lock, no thread pool",
        });
      }
      return pass(`${good.length} answers at once within ${secondsText(worst)}`, { limit, evidence, figure });
    }),
};
