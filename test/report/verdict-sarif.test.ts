import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import type { Verification } from "../../src/contract/verify-image.ts";
import { verdictSarif } from "../../src/report/verdict-sarif.ts";
import { has, run, temporary } from "../archive/oracle.ts";
import { requireOrSkip } from "../lab/lab.ts";
import { apiParts, verifyParts } from "../contract/image-dsl.ts";
import { brokenImage, hostileVerification } from "./verdicts.ts";

const tools = path.join(import.meta.dirname, "..", "..", ".tools");
const python = path.join(tools, "python", "bin", "python");
const schema = path.join(tools, "schemas", "sarif-2.1.0.json");
const oracle = requireOrSkip(
  "SARIF's schema with jsonschema",
  fs.existsSync(schema) && has(python, "-c", "import jsonschema"),
);

interface Result {
  ruleId: string;
  ruleIndex: number;
  level: string;
  message: { text: string; markdown: string };
  locations: { physicalLocation: { artifactLocation: { uri: string }; region: { startLine: number } } }[];
  partialFingerprints: Record<string, string>;
  suppressions?: { justification: string }[];
}

interface Rule {
  id: string;
  help?: { text: string };
}

interface Run {
  tool: { driver: { rules: Rule[] } };
  invocations: { toolExecutionNotifications: { message: { text: string } }[] }[];
  results: Result[];
}

function runOf(verification: Verification, file?: string): Run {
  const log = JSON.parse(verdictSarif(verification, { version: "0.1.0", ...(file ? { file } : {}) })) as {
    runs: Run[];
  };
  return log.runs[0] as Run;
}

/** What OASIS' schema finds wrong. */
function problems(sarif: string): string[] {
  const at = path.join(temporary(), "report.sarif");
  fs.writeFileSync(at, sarif);
  const script = `
import json, sys, jsonschema
schema, log = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:3])
checker = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
print(json.dumps([f"{list(each.absolute_path)}: {each.message[:200]}" for each in checker.iter_errors(log)]))`;
  return JSON.parse(run(python, ["-c", script, schema, at])) as string[];
}

describe("a verdict as SARIF", () => {
  it.skipIf(!oracle)("is what the official schema asks for (needs .tools/schemas/sarif-2.1.0.json)", async () => {
    for (const verification of [await verifyParts(apiParts()), await brokenImage(), await hostileVerification()])
      expect(problems(verdictSarif(verification, { version: "0.1.0", file: "Dockerfile" }))).toEqual([]);
    const spoilt = verdictSarif(await brokenImage(), { version: "0.1.0" }).replaceAll(
      `"level": "error"`,
      `"level": "bad"`,
    );
    expect(problems(spoilt), "the oracle sees what is wrong").not.toEqual([]);
  });

  it("has a rule with its reasons for each check, and a result for each that is not fine", async () => {
    const verification = await brokenImage();
    const { tool, results, invocations } = runOf(verification);
    const { checks } = verification.verdict;
    expect(tool.driver.rules.map(({ id }) => id)).toEqual(checks.map(({ id }) => id));
    for (const { id, help } of tool.driver.rules) expect(help?.text, id).toContain(verification.abouts.get(id)?.why);
    const wrong = checks.filter(({ verdict }) => ["fail", "warn", "error"].includes(verdict)).map(({ id }) => id);
    expect(wrong).toContain("files.secret");
    expect(results.map(({ ruleId }) => ruleId)).toEqual(wrong);
    for (const { ruleId, ruleIndex } of results) expect(tool.driver.rules[ruleIndex]?.id).toBe(ruleId);
    const notRun = checks.filter((check) => check.notRun);
    expect(notRun.length).toBeGreaterThan(0);
    expect(invocations[0]?.toolExecutionNotifications).toHaveLength(notRun.length);
  });

  it("keeps its fingerprints from build to build and tag to tag, and tells images apart", async () => {
    const verification = await brokenImage();
    const named = (image: string, digest = verification.verdict.digest) =>
      runOf({ ...verification, verdict: { ...verification.verdict, image, digest } }).results.map(
        (result) => result.partialFingerprints["sheafCheck/v1"],
      );
    const first = named("registry.example.test:5000/shop:1.0");
    expect(new Set(first).size).toBe(first.length);
    expect(named("registry.example.test:5000/shop:2.0", `sha256:${"0".repeat(64)}`)).toEqual(first);
    expect(named(`registry.example.test:5000/shop@sha256:${"a".repeat(64)}`)).toEqual(first);
    expect(named("registry.example.test:5000/other:1.0")).not.toEqual(first);
  });

  it("points at the line of the Dockerfile that the evidence names", async () => {
    const verification = await hostileVerification();
    const [check] = verification.verdict.checks;
    if (check) check.evidence = ["seen elsewhere:3", "deploy/Dockerfile:7 USER root", "deploy/Dockerfile:9"];
    const place = (file?: string) => runOf(verification, file).results[0]?.locations[0]?.physicalLocation;
    expect(place("deploy/Dockerfile")).toEqual({
      artifactLocation: { uri: "deploy/Dockerfile" },
      region: { startLine: 7 },
    });
    expect(place("a b:c/Dockerfile")).toEqual({
      artifactLocation: { uri: "a%20b%3Ac/Dockerfile" },
      region: { startLine: 1 },
    });
  });

  it("takes what the baseline accepts as suppressed, and foreign text as text", async () => {
    const { results } = runOf(await hostileVerification());
    expect(results.map(({ level }) => level)).toEqual(["error", "error", "warning"]);
    expect(results.map(({ suppressions }) => suppressions?.length ?? 0)).toEqual([0, 0, 1]);
    expect(results[2]?.suppressions?.[0]?.justification).toContain("until 2027-01-31");
    expect(results[0]?.message.markdown).toContain("\\<script\\>");
    expect(results[0]?.message.text).toContain("\\u202e");
  });
});
