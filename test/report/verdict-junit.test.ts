import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { verdictJunit } from "../../src/report/verdict-junit.ts";
import { has, run, temporary } from "../archive/oracle.ts";
import { requireOrSkip } from "../lab/lab.ts";
import { brokenImage, hostileVerification } from "./verdicts.ts";

const tools = path.join(import.meta.dirname, "..", "..", ".tools");
const python = path.join(tools, "python", "bin", "python");
const schema = path.join(tools, "schemas", "junit.xsd");
const oracle = requireOrSkip(
  "JUnit's schema with junitparser and xmlschema",
  fs.existsSync(schema) && has(python, "-c", "import junitparser, xmlschema"),
);

interface ReadCase {
  name: string;
  classname: string;
  time: number;
  outcomes: [string, string, string][];
  output: string;
}

interface ReadSuite {
  name: string;
  tests: number;
  failures: number;
  errors: number;
  skipped: number;
  cases: ReadCase[];
}

/** Checks the report against Jenkins' schema, and reads it with junitparser. */
function readBack(xml: string): ReadSuite[] {
  const at = path.join(temporary(), "report.xml");
  fs.writeFileSync(at, xml);
  const script = `
import json, sys, xmlschema
from junitparser import JUnitXml
xmlschema.XMLSchema(sys.argv[1]).validate(sys.argv[2])
print(json.dumps([{
  "name": suite.name, "tests": suite.tests, "failures": suite.failures, "errors": suite.errors, "skipped": suite.skipped,
  "cases": [{
    "name": case.name, "classname": case.classname, "time": case.time, "output": case.system_out or "",
    "outcomes": [[type(each).__name__, each.message, each.text or ""] for each in case.result],
  } for case in suite],
} for suite in JUnitXml.fromfile(sys.argv[2])]))`;
  return JSON.parse(run(python, ["-c", script, schema, at])) as ReadSuite[];
}

describe("a verdict as JUnit XML", () => {
  it.skipIf(!oracle)("is what junitparser reads (needs .tools/schemas/junit.xsd, junitparser, xmlschema)", async () => {
    const { verdict } = await brokenImage();
    const suites = readBack(verdictJunit(verdict));
    expect(suites.map(({ name }) => name)).toEqual([...new Set(verdict.checks.map(({ group }) => group))]);
    const kinds = { fail: "Failure", error: "Error", skipped: "Skipped" } as Record<string, string>;
    const cases = suites.flatMap((suite) => suite.cases);
    expect(cases.map(({ name, time, outcomes }) => ({ name, time, outcome: outcomes[0]?.[0] }))).toEqual(
      verdict.checks.map(({ id, title, seconds, verdict: each }) => ({
        name: `${id}: ${title}`,
        time: seconds,
        outcome: kinds[each],
      })),
    );
    for (const suite of suites) {
      const own = verdict.checks.filter(({ group }) => group === suite.name);
      const count = (wanted: string) => own.filter((check) => check.verdict === wanted).length;
      const { tests, failures, errors, skipped } = suite;
      expect([tests, failures, errors, skipped]).toEqual([own.length, count("fail"), count("error"), count("skipped")]);
    }
    const secret = cases.find(({ name }) => name.startsWith("files.secret:"));
    expect(secret?.outcomes[0]?.[2]).toContain("/app/.env");
  });

  it.skipIf(!oracle)(
    "holds hostile text as text (needs .tools/schemas/junit.xsd, junitparser, xmlschema)",
    async () => {
      const { verdict } = await hostileVerification();
      const [suite] = readBack(verdictJunit(verdict));
      const outcomes = suite?.cases.map((each) => each.outcomes[0]?.[0]);
      expect(outcomes).toEqual(["Failure", "Error", undefined, undefined, "Skipped", "Skipped"]);
      const [failed, , warned, , , rests] = suite?.cases ?? [];
      expect(failed?.outcomes[0]?.[2]).toContain("<script>");
      expect(failed?.outcomes[0]?.[2]).toContain("\\x1b[31m null\\x00");
      expect(warned?.output).toMatch(/^warning\n/);
      expect(warned?.output).toContain("accepted until 2027-01-31");
      expect(rests?.outcomes[0]?.[2]).toMatch(/^not run: /);
    },
  );

  it("has no character that XML forbids, and no foreign markup", async () => {
    const { verdict } = await hostileVerification();
    const xml = verdictJunit(verdict);
    // oxlint-disable-next-line no-control-regex -- XML 1.0, section 2.2
    expect(xml).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/u);
    expect(xml).not.toMatch(/<script|<img|]]>/);
  });
});
