import { fail, notApplicable, notRun, pass, undecided, warn } from "../../src/contract/finding.ts";
import { type CheckResult, overallVerdict } from "../../src/contract/verdict.ts";
import type { Verification } from "../../src/contract/verify-image.ts";
import { apiParts, distribution, file, put, remove, verifyParts } from "../contract/image-dsl.ts";

/** What hostile images may put into names, labels and evidence. */
export const hostile = {
  script: `<script>document.title = "broken in"</script>`,
  attribute: `" onmouseover="document.title='broken in'" x='`,
  end: `</script></style></title>]]>--><img src=x onerror="document.title='broken in'">`,
  control: "bell\u0007 escape\u001b[31m null\u0000 end",
  bidi: "photo\u202Egnp.exe\u2066 zero\u200Bwidth",
  half: "half a pair \uD800 and \uFFFF",
};

/** The verdict of a real image with one file and one variable wrong, and with distributions to see in the map. */
export async function brokenImage(): Promise<Verification> {
  const parts = apiParts();
  put(parts, file("app/.env", "TOKEN=abcdefghijklmnop\n"));
  const files = Object.fromEntries(
    Array.from({ length: 30 }, (_, index) => [
      `big/part${index % 5}/m${index}.py`,
      `x = "${"y".repeat(3000 + index * 900)}"\n`,
    ]),
  );
  for (const entry of distribution({ name: "big", version: "1.0", files })) parts.layers[1]?.push(entry);
  for (const [index, text] of Object.values(hostile).entries()) {
    const name = text.replaceAll(/[/\0]|\p{Cs}/gu, "_");
    put(parts, file(`app/hostile/${index}${name}/data.bin`, "z".repeat(9000 + index)));
  }
  remove(parts, "app/app/settings.py");
  return verifyParts(parts);
}

/** One check of each verdict, with every kind of hostile text in every place that takes text. */
export async function hostileVerification(): Promise<Verification> {
  const real = await brokenImage();
  const text = Object.values(hostile).join(" ");
  const more = { evidence: Object.values(hostile), hint: text, limit: text };
  const result = (id: string, finding: Omit<CheckResult, "id" | "title" | "group" | "seconds">): CheckResult => ({
    id: `custom.${id}`,
    title: text,
    group: "custom",
    seconds: 0.25,
    ...finding,
  });
  const figure = { measured: 3, limit: 2, unit: "seconds" as const };
  const checks = [
    result("fails", { ...fail(text, { ...more, hint: text }), figure }),
    result("errs", undecided(text, more)),
    result("warns", { ...warn(text, { ...more, hint: text }), accepted: { reason: text, until: "2027-01-31" } }),
    result("passes", pass(text, more)),
    result("leaves", notApplicable(text)),
    result("rests", notRun(text)),
  ];
  const about = { title: text, holds: text, why: text, sources: [text] };
  const abouts = new Map(checks.map(({ id }) => [id, { id, ...about }]));
  const start = [
    { label: "the process listens", seconds: 0.31 },
    { label: text, seconds: 0.62, limit: 0.5 },
    { label: "healthy", seconds: 1.4, limit: 40 },
  ];
  const verdict = {
    ...real.verdict,
    image: `shop:${hostile.script}${hostile.bidi}`,
    runtime: text,
    verdict: overallVerdict(checks),
    checks,
    baseline: {
      file: text,
      accepted: ["custom.warns"],
      new: ["custom.fails"],
      expired: [],
      unused: [{ id: text, why: "is no check" }],
    },
  };
  return { ...real, verdict, abouts, start };
}
