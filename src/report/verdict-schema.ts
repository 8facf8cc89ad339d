import { z } from "zod";

import { groups } from "../contract/check.ts";

const Check = z.strictObject({
  id: z.string().describe("group.thing, stable"),
  title: z.string().describe("what is fine when it passes"),
  group: z.enum(groups),
  verdict: z.enum(["pass", "fail", "warn", "skipped", "error"]),
  measured: z.string().describe("what was found, in one phrase; of a skipped check the reason"),
  limit: z.string().nullable().describe("what is promised"),
  figure: z
    .strictObject({ measured: z.number(), limit: z.number().optional(), unit: z.enum(["bytes", "seconds", "count"]) })
    .nullable()
    .describe("measured and limit as numbers"),
  evidence: z.array(z.string()).describe("what it was seen by, one fact an item"),
  hint: z.string().nullable().describe("what to do next"),
  seconds: z.number(),
  notRun: z.boolean().describe("of a skipped check: it would apply, and this run left it out"),
  accepted: z
    .strictObject({ reason: z.string(), until: z.string() })
    .nullable()
    .describe("of a warning: a failure that the baseline accepts until that day"),
});

const ids = z.array(z.string());
const Baseline = z.strictObject({
  file: z.string(),
  accepted: ids.describe("failures that it accepts, which count as warnings"),
  new: ids.describe("failures that it does not speak of"),
  expired: ids.describe("failures that it accepted until a day that is over"),
  unused: z
    .array(z.strictObject({ id: z.string(), why: z.string() }))
    .describe("its entries that accept nothing any more"),
});

/** What `sheaf verify --format json` writes. */
export const VerdictDocument = z.strictObject({
  image: z.string(),
  digest: z.string(),
  platform: z.string(),
  runtime: z.string().nullable().describe("what ran it, null when nothing did"),
  verdict: z
    .enum(["pass", "fail", "incomplete"])
    .describe("fail when a check failed or could not decide; incomplete when none failed and some were not run"),
  seconds: z.number(),
  checks: z.array(Check),
  baseline: Baseline.nullable().describe("null when none was given"),
});

/** Published as schemas/verdict.schema.json. */
export function verdictSchema(): Record<string, unknown> {
  return { title: "The verdict of sheaf verify", ...z.toJSONSchema(VerdictDocument) };
}
