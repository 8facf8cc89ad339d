import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { applyBaseline, readBaseline } from "../../src/contract/baseline.ts";
import { fail, notApplicable, notRun, pass } from "../../src/contract/finding.ts";
import { type CheckResult, type ImageVerdict, overallVerdict } from "../../src/contract/verdict.ts";
import { verdictHtml } from "../../src/report/verdict-html.ts";
import { verdictJson } from "../../src/report/verdict-json.ts";
import { verdictMarkdown } from "../../src/report/verdict-markdown.ts";
import { verdictSarif } from "../../src/report/verdict-sarif.ts";
import { VerdictDocument, verdictSchema } from "../../src/report/verdict-schema.ts";
import { explanationText, verdictText } from "../../src/report/verdict-text.ts";
import { staticChecks } from "../../src/contract/registry.ts";
import { styleFor } from "../../src/report/text.ts";
import { apiParts, distribution, elf, failing, file, packageEntries, put, verifyParts } from "./image-dsl.ts";

const plain = styleFor({}, {});
const schemaFile = path.join(import.meta.dirname, "..", "..", "schemas", "verdict.schema.json");

function result(
  id: string,
  finding: Parameters<typeof overallVerdict>[0][number] | ReturnType<typeof pass>,
): CheckResult {
  return { id, title: "a title", group: "config", seconds: 0, ...finding };
}

describe("the verdict of an image", () => {
  it("is no pass when something was not run", () => {
    expect(overallVerdict([result("config.a", pass("x"))])).toBe("pass");
    expect(overallVerdict([result("config.a", pass("x")), result("config.b", notApplicable("no"))])).toBe("pass");
    expect(overallVerdict([result("config.a", pass("x")), result("config.b", notRun("--static"))])).toBe("incomplete");
    expect(overallVerdict([result("config.a", notRun("x")), result("config.b", fail("y", { hint: "z" }))])).toBe(
      "fail",
    );
  });

  it("leaves out what the contract leaves out, with the reason", async () => {
    const parts = apiParts();
    put(parts, file("app/tests/test_a.py", "x = 1\n"));
    parts.settings = {
      ...parts.settings,
      contract: { ...parts.settings.contract, skip: { "files.tests": "the tests are the product", "gpu.*": "never" } },
    };
    const { verdict } = await verifyParts(parts);
    const of = (id: string) => verdict.checks.find((check) => check.id === id);
    expect(of("files.tests")).toMatchObject({
      verdict: "skipped",
      measured: "left out by the contract: the tests are the product",
    });
    expect(of("gpu.cuda-absent")).toMatchObject({ verdict: "skipped" });
  });

  it("says nothing of what Debian's packages only suggest a library or a Python for", async () => {
    const parts = apiParts();
    const odd = [
      file("usr/lib/x86_64-linux-gnu/tc/q_atm.so", elf({ needed: ["libatm.so.1"] })),
      file("usr/bin/routel", "#!/usr/bin/python3.1\n", 0o755),
    ];
    parts.layers[0]?.push(...packageEntries("iproute2", odd));
    expect(failing(await verifyParts(parts))).toEqual([]);
    // The same of nobody's.
    const foreign = apiParts();
    for (const entry of odd) put(foreign, entry);
    expect(failing(await verifyParts(foreign))).toEqual(expect.arrayContaining(["python.scripts", "native.libraries"]));
  });

  it("says nothing of a twin whose files another one has, and of half a one it does", async () => {
    const build = (name: string, extra: string) =>
      distribution({
        name,
        version: "4.11",
        files: {
          "cv2/__init__.py": "",
          "cv2/cv2.abi3.so": name,
          [extra]: "",
          [`${name.replaceAll("-", "_")}.libs/libx.so`]: "",
        },
      });
    const isMetadata = ({ path }: { path: string }) => path.includes(".dist-info/");
    const twins = apiParts();
    twins.layers[1]?.push(
      ...build("opencv-python-headless", "cv2/data.py"),
      ...build("opencv-python", "cv2/qt.ttf").filter(isMetadata),
    );
    expect(failing(await verifyParts(twins))).toEqual([]);
    const half = apiParts();
    half.layers[1]?.push(...build("opencv-python", "cv2/qt.ttf").filter(({ path }) => !path.endsWith(".so")));
    expect(failing(await verifyParts(half))).toEqual(["python.record"]);
    const alone = apiParts();
    alone.layers[1]?.push(...build("opencv-python", "cv2/qt.ttf").filter(isMetadata));
    expect(failing(await verifyParts(alone))).toEqual(["python.record"]);
  });

  it("says nothing of files that the contract allows", async () => {
    const parts = apiParts();
    put(parts, file("app/tests/data/.env", "KEY=abcdefghijk\n"));
    expect(failing(await verifyParts(parts))).toEqual(["files.secret"]);
    parts.settings = {
      ...parts.settings,
      contract: { ...parts.settings.contract, "allow-files": ["/app/tests/data/"] },
    };
    expect(failing(await verifyParts(parts))).toEqual([]);
  });
});

describe("checks of one's own", () => {
  it.each([
    [{ file: "/app/app/main.py" }, "pass"],
    [{ file: "/app/app/main.py", output: "FastAPI\\(" }, "pass"],
    [{ file: "/etc/os-release", output: "^ID=debian$" }, "fail"],
    [{ file: "/etc/debian_version", output: "^12\\." }, "pass"],
    [{ file: "/app/terms.md" }, "fail"],
    [{ absent: "/app/terms.md" }, "pass"],
    [{ absent: "/app/app/main.py" }, "fail"],
    [{ label: "org.opencontainers.image.source" }, "pass"],
    [{ label: "org.opencontainers.image.source", output: "^ssh:" }, "fail"],
    [{ label: "team" }, "fail"],
    [{ env: "PYTHONPATH", output: "^/app$" }, "pass"],
    [{ env: "APP_ENV" }, "fail"],
    [{ command: ["true"] }, "skipped"],
    [{ url: "/docs" }, "skipped"],
  ])("%j: %s", async (check, verdict) => {
    const parts = apiParts();
    parts.settings = {
      ...parts.settings,
      contract: { ...parts.settings.contract, checks: { mine: { ...check, hint: "do it" } } },
    };
    const found = (await verifyParts(parts)).verdict.checks.find(({ id }) => id === "custom.mine");
    expect(found?.verdict).toBe(verdict);
    if (verdict === "fail") expect(found?.hint).toBe("do it");
  });
});

describe("a baseline", () => {
  const text =
    '[[accept]]\nid = "files.tests"\nreason = "shipped on purpose"\nuntil = 2026-12-31\n[[accept]]\nid = "config.user"\nreason = "x"\nuntil = "2026-12-31"\n[[accept]]\nid = "files.nope"\nreason = "x"\nuntil = 2026-12-31\n';

  it("turns known failures into warnings until their day, and tells what it accepts in vain", async () => {
    const parts = apiParts();
    put(parts, file("app/tests/test_a.py", "x = 1\n"));
    const baseline = await readBaseline("known.toml", text, "2026-11-23");
    const { verdict } = await verifyParts(parts, baseline);
    expect(verdict.verdict).toBe("incomplete");
    expect(verdict.checks.find(({ id }) => id === "files.tests")).toMatchObject({
      verdict: "warn",
      accepted: { reason: "shipped on purpose", until: "2026-12-31" },
    });
    expect(verdict.baseline).toEqual({
      file: "known.toml",
      accepted: ["files.tests"],
      new: [],
      expired: [],
      unused: [
        { id: "config.user", why: "does not fail any more" },
        { id: "files.nope", why: "is no check" },
      ],
    });
  });

  it("tells what is new since then, in every report", async () => {
    const parts = apiParts();
    put(parts, file("app/tests/test_a.py", "x = 1\n"));
    put(parts, file("app/.env", "TOKEN=abcdefghijk\n"));
    const verification = await verifyParts(parts, await readBaseline("known.toml", text, "2026-11-23"));
    const { verdict } = verification;
    expect(verdict).toMatchObject({ verdict: "fail", baseline: { accepted: ["files.tests"], new: ["files.secret"] } });
    const told =
      /known\\?\.toml accepts 1 of 2 failures: files\.tests[^]*new since then: files\.secret[^]*of no use: config\.user does/;
    expect(verdictText(verdict, plain, 100)).toMatch(told);
    expect(verdictMarkdown(verdict)).toMatch(told);
    expect(verdictHtml(verification)).toMatch(told);
    expect(JSON.parse(verdictSarif(verification, { version: "0" })).runs[0].properties).toMatchObject({
      newSinceBaseline: ["files.secret"],
    });
    expect(VerdictDocument.parse(JSON.parse(JSON.stringify(verdictJson(verdict)))).baseline?.new).toEqual([
      "files.secret",
    ]);
    // Where there is no baseline, nothing is said of it.
    expect(verdictText((await verifyParts(parts)).verdict, plain, 100)).not.toContain("baseline");
  });

  it("is over after its day", async () => {
    const baseline = await readBaseline("known.toml", text, "2027-01-01");
    const { checks, report } = applyBaseline([result("files.tests", fail("x", { hint: "y" }))], baseline);
    expect(report).toMatchObject({ accepted: [], new: [], expired: ["files.tests"] });
    expect(checks[0]).toMatchObject({
      verdict: "fail",
      evidence: ["known.toml accepted it until 2026-12-31: shipped on purpose"],
    });
  });

  it.each([
    ['[[accept]]\nid = "a.b"\nreason = "x"', /needs until/],
    ['[[accept]]\nid = "a.b"\nuntil = 2026-01-01', /has no reason/],
    ['[[accept]]\nreason = "x"\nuntil = 2026-01-01', /has no id/],
    ['[[accept]]\nid = "a.b"\nreason = "x"\nuntil = "never"', /needs until/],
    ["accepted = 1", /unknown key/],
  ])("with mistakes is an error: %s", async (broken, message) => {
    await expect(readBaseline("known.toml", broken, "2026-01-01")).rejects.toMatchObject({
      code: "SHEAF_BASELINE",
      exitCode: 2,
    });
    const error = (await readBaseline("known.toml", broken, "2026-01-01").catch((thrown: unknown) => thrown)) as {
      details: unknown;
    };
    expect(JSON.stringify(error.details)).toMatch(message);
  });
});

describe("what is written of a verdict", () => {
  const spoilt = async (): Promise<ImageVerdict> => {
    const parts = apiParts();
    put(parts, file("app/tests/test_<b>|x\u001b[31m.py", "x = 1\n"));
    return (await verifyParts(parts)).verdict;
  };

  it("fits its published schema as JSON (UPDATE_SCHEMA=1 writes it, npm run format formats it)", async () => {
    const schema = verdictSchema();
    if (process.env["UPDATE_SCHEMA"]) fs.writeFileSync(schemaFile, JSON.stringify(schema, undefined, 2));
    expect(JSON.parse(fs.readFileSync(schemaFile, "utf8"))).toEqual(schema);
    const document = JSON.parse(JSON.stringify(verdictJson(await spoilt())));
    expect(VerdictDocument.parse(document)).toEqual(document);
    expect(document.verdict).toBe("fail");
  });

  it("tells groups, failures last, and what was not run, in text of any width", async () => {
    const verdict = await spoilt();
    for (const width of [60, 80, 120]) {
      const text = verdictText(verdict, plain, width);
      expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(text).not.toContain("\u001b");
      expect(text.indexOf("✗ files.tests")).toBeGreaterThan(text.indexOf("scanner"));
      expect(text).toMatch(/1 failed/);
      expect(text).toMatch(/not run \(runtime/);
    }
    expect(verdictText(verdict, plain, 120)).toContain("sheaf verify --explain files.tests");
  });

  it("says aloud that an image without a failure was not wholly checked", async () => {
    const { verdict } = await verifyParts(apiParts());
    expect(verdictText(verdict, plain, 80)).toMatch(/this is no pass/);
    expect(verdictText(verdict, plain, 80)).not.toMatch(/✗/);
  });

  it("keeps what an image says from becoming markup of a page", async () => {
    const text = verdictMarkdown(await spoilt());
    expect(text).toContain("## shop-api: breaks promises");
    expect(text).not.toMatch(/(?<!\\)<b>/);
    expect(text).not.toContain("\u001b");
    // One row a check, whatever is in it.
    const rows = text.split("\n").filter((line) => line.startsWith("| ") && line.includes("`"));
    for (const row of rows) expect(row.match(/(?<!\\)\|/g)).toHaveLength(5);
  });

  it("explains each check", () => {
    for (const check of staticChecks) {
      const text = explanationText(check, plain, 80);
      expect(text).toContain(check.id);
      expect(
        Math.max(
          ...text
            .split("\n")
            .filter((line) => !/source|http/.test(line))
            .map((line) => line.length),
        ),
      ).toBeLessThan(140);
    }
  });
});
