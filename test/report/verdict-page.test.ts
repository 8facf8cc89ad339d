import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { CheckResult } from "../../src/contract/verdict.ts";
import type { Verification } from "../../src/contract/verify-image.ts";
import { byteTree } from "../../src/report/html/byte-tree.ts";
import { verdictHtml } from "../../src/report/verdict-html.ts";
import { apiParts, verifyParts } from "../contract/image-dsl.ts";
import { requireOrSkip } from "../lab/lab.ts";
import { Browser, chromium } from "./chromium.ts";
import { brokenImage, hostile, hostileVerification } from "./verdicts.ts";

const skipped = !requireOrSkip("Chromium", "program" in chromium);
const reason = "missing" in chromium ? ` (${chromium.missing})` : "";
const desktop = { width: 1200, height: 900 };

describe("the page of a verdict, as text", () => {
  it("says in one sentence what came out", async () => {
    const good = await verifyParts(apiParts());
    expect(sentenceOf(good)).toMatch(
      /^Nothing failed, but this is no pass: \d+ checks passed, and \d+ were not run \(--static\)\.$/,
    );
    const checks = good.verdict.checks.filter(({ notRun }) => !notRun);
    const passed = checks.filter(({ verdict }) => verdict === "pass").length;
    expect(sentenceOf({ ...good, verdict: { ...good.verdict, checks, verdict: "pass" } })).toBe(
      `It keeps its promises: all ${passed} checks passed.`,
    );
    const broken = await brokenImage();
    expect(sentenceOf(broken)).toMatch(
      /^It breaks one promise, files\.secret: \/app\/\.env looks like .+\. \d+ checks passed; \d+ not run\.$/,
    );
    const errors = broken.verdict.checks.map((check, index) =>
      index < 2 || check.verdict === "fail" ? { ...check, verdict: "error" as const } : check,
    );
    expect(sentenceOf({ ...broken, verdict: { ...broken.verdict, checks: errors } })).toMatch(
      /^3 promises could not be decided; \d+ checks passed; \d+ not run\.$/,
    );
    const [first, ...others] = broken.verdict.checks;
    const verdict = { ...broken.verdict, checks: [{ ...first, verdict: "fail" } as CheckResult, ...others] };
    expect(sentenceOf({ ...broken, verdict })).toMatch(/^It breaks 2 promises; \d+ checks passed; \d+ not run\.$/);
  });

  it("is the same for the same verdict, names nothing outside and has no timeline without a start", async () => {
    const verification = await brokenImage();
    const page = verdictHtml(verification);
    expect(page).toBe(verdictHtml(verification));
    expect(page).not.toMatch(/(?:src|href)="(?!#|data:,)/);
    expect(page).not.toContain("@import");
    expect(page).not.toContain("From run to healthy");
  });

  it("escapes hostile text wherever it stands", async () => {
    const page = verdictHtml(await hostileVerification());
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toMatch(/<img|<\/title>\]\]/);
    // oxlint-disable-next-line no-control-regex -- what must be gone
    expect(page).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202e\u2066\u200b]|\p{Cs}/u);
    expect(page).toContain("photo\\u202egnp.exe");
  });
});

describe.skipIf(skipped)(`the page of a verdict, in Chromium${reason}`, () => {
  let browser: Browser;
  let folder: string;
  let broken: Verification;

  beforeAll(async () => {
    if ("missing" in chromium) return;
    browser = await Browser.start(chromium.program);
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-page-"));
    broken = await brokenImage();
    fs.writeFileSync(path.join(folder, "broken.html"), verdictHtml(broken));
    fs.writeFileSync(path.join(folder, "hostile.html"), verdictHtml(await hostileVerification()));
  });

  afterAll(async () => {
    await browser?.close();
    if (folder) fs.rmSync(folder, { recursive: true, force: true });
  });

  async function open(name: string, options: Partial<Parameters<Browser["look"]>[0]> = {}): Promise<void> {
    await browser.look({ ...desktop, ...options });
    await browser.open(path.join(folder, `${name}.html`));
  }

  const shownNodes = `[...document.querySelectorAll(".map .node")].filter((node) => node.checkVisibility())`;

  it.each(["broken", "hostile"])("loads %s without a complaint or a request", async (name) => {
    await open(name);
    expect(browser.complaints).toEqual([]);
    expect(browser.requests).toEqual([]);
  });

  it("is refused what would reach out or run, by its own policy", async () => {
    await open("broken");
    await browser.evaluate(`(() => {
      const image = document.createElement("img");
      image.src = "http://127.0.0.1:9/x.png";
      const script = document.createElement("script");
      script.textContent = "document.title = 'broken in'";
      document.body.append(image, script);
    })()`);
    await expect.poll(() => browser.complaints.join("\n")).toMatch(/img-src[^]*script-src|script-src[^]*img-src/);
    expect(await browser.evaluate("document.title")).not.toBe("broken in");
  });

  it("shows hostile text as text", async () => {
    await open("hostile");
    const { title, text, elements } = await browser.evaluate<{ title: string; text: string; elements: number }>(
      `({ title: document.title, text: document.body.textContent, elements: document.querySelectorAll("img, [onmouseover], [onerror]").length })`,
    );
    expect(title).toContain(hostile.script);
    expect(text).toContain(hostile.attribute);
    expect(text).toContain(hostile.end);
    expect(elements).toBe(0);
    const labels = await browser.evaluate<string[]>(
      `[...document.querySelectorAll(".node")].map((node) => node.ariaLabel)`,
    );
    expect(labels.join("\n")).toContain("document.title");
  });

  it("has the rectangles of the map, in proportion, filling it", async () => {
    await open("broken");
    const layers = await browser.evaluate<{ name: string; area: number }[]>(
      `(() => { const whole = document.querySelector(".map").getBoundingClientRect();
        return [...document.querySelectorAll(".layer")].map((node) => { const box = node.getBoundingClientRect();
          return { name: node.dataset.name, area: (box.width * box.height) / (whole.width * whole.height) }; }); })()`,
    );
    const tree = byteTree(broken.facts);
    expect(layers.map(({ name }) => name).toSorted()).toEqual(tree.children.map(({ name }) => name).toSorted());
    for (const { name, area } of layers) {
      const bytes = tree.children.find((layer) => layer.name === name)?.bytes ?? 0;
      expect(area).toBeCloseTo(bytes / tree.bytes, 2);
    }
    const owners = tree.children.flatMap(({ children }) => children);
    expect(await browser.evaluate(`${shownNodes}.length`)).toBe(tree.children.length + owners.length);
  });

  it("zooms by keys, and back, and by a click", async () => {
    await open("broken");
    const told = () => browser.evaluate<string>(`document.querySelector(".told").textContent`);
    const focused = () =>
      browser.evaluate<string>("document.activeElement.dataset.name ?? document.activeElement.localName");
    const crumbs = () =>
      browser.evaluate<string[]>(`[...document.querySelectorAll(".crumbs button")].map((each) => each.textContent)`);
    for (let tries = 0; tries < 40 && !(await focused()).startsWith("layer"); tries++) await browser.press("Tab");
    const first = await focused();
    expect(first, "the map is reached by Tab").toMatch(/^layer \d$/);
    expect(await told()).toMatch(/of the image/);
    await browser.press("ArrowRight");
    expect(await focused()).not.toBe(first);
    await browser.press("ArrowLeft");
    await browser.press("Enter");
    expect(await crumbs()).toEqual(["the image", first]);
    const owner = await focused();
    expect(await browser.evaluate(`document.activeElement.classList.contains("owner")`)).toBe(true);
    expect(await browser.evaluate(`document.activeElement.parentElement.closest(".node").ariaExpanded`)).toBe("true");
    expect(await browser.evaluate(`${shownNodes}.filter((node) => node.classList.contains("layer")).length`)).toBe(1);
    expect(await browser.evaluate(`${shownNodes}.some((node) => node.classList.contains("folder"))`)).toBe(true);
    await browser.press("Enter");
    expect(await crumbs()).toEqual(["the image", first, owner]);
    await browser.press("Escape");
    await browser.press("Escape");
    expect(await crumbs()).toEqual(["the image"]);
    expect(await focused()).toBe(first);
    const spot = await browser.evaluate<{ x: number; y: number }>(
      `(() => { const node = document.querySelectorAll(".layer")[1]; node.scrollIntoView({ block: "center" });
        const box = node.getBoundingClientRect(); return { x: box.x + box.width / 2, y: box.y + box.height / 2 }; })()`,
    );
    await browser.click(spot.x, spot.y);
    expect(await crumbs()).toHaveLength(2);
    expect(browser.complaints).toEqual([]);
  });

  it("has failures first and open, passes closed, and opens what a figure links to", async () => {
    await open("broken");
    const groups = await browser.evaluate<{ open: boolean; failed: boolean }[]>(
      `[...document.querySelectorAll("details.group")].map((each) => ({ open: each.open, failed: each.querySelector(".check.fail, .check.error") !== null }))`,
    );
    expect(groups[0]).toEqual({ open: true, failed: true });
    expect(groups.at(-1)).toEqual({ open: false, failed: false });
    const failed = groups.map((group) => group.failed);
    expect(failed).toEqual(failed.toSorted((a, b) => Number(b) - Number(a)));
    const shown = await browser.evaluate<string>(`document.getElementById("files.secret").innerText`);
    expect(shown).toContain("/app/.env");
    expect(shown).toContain("What to do");
    await browser.evaluate(`document.querySelector('.figures a[href="#size.unpacked"]').click()`);
    await expect.poll(() => browser.evaluate(`document.getElementById("size.unpacked").open`)).toBe(true);
  });

  it("is dark where that is preferred, with text that can be read in both", async () => {
    const colours = `(() => { const paint = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
      return [["body", "body"], [".quiet", "body"], [".owner .label", ".owner"], [".fail .mark", ".check.fail"]].map(
        ([text, ground]) => [paint(text, "color"), paint(ground, "backgroundColor")]); })()`;
    await open("broken", { scheme: "light" });
    const light = await browser.evaluate<[string, string][]>(colours);
    await open("broken", { scheme: "dark" });
    const dark = await browser.evaluate<[string, string][]>(colours);
    expect(luminance(light[0]?.[1] ?? "")).toBeGreaterThan(0.8);
    expect(luminance(dark[0]?.[1] ?? "")).toBeLessThan(0.05);
    for (const [text, ground] of [...light, ...dark]) expect(contrast(text, ground)).toBeGreaterThan(4.5);
  });

  it.each([["broken"], ["hostile"]])("fits a phone's width: %s", async (name) => {
    await open(name, { width: 360, height: 740 });
    expect(await browser.evaluate("document.documentElement.scrollWidth")).toBe(360);
    const wide = `[...document.querySelectorAll("body *")].filter((each) => each.checkVisibility() && !each.closest(".map, .unseen") && each.getBoundingClientRect().right > 361).length`;
    expect(await browser.evaluate(wide)).toBe(0);
  });

  it("prints on white, with the failures and without the keys' help", async () => {
    await open("broken", { scheme: "dark", media: "print" });
    expect(await browser.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(255, 255, 255)");
    expect(await browser.evaluate(`getComputedStyle(document.querySelector(".told")).display`)).toBe("none");
    const ink = await browser.evaluate<string>("getComputedStyle(document.body).color");
    expect(contrast(ink, "rgb(255, 255, 255)")).toBeGreaterThan(7);
  });

  it("is a page with landmarks, headings, a tree and a table for who listens", async () => {
    await open("hostile");
    const { nodes } = (await browser.send("Accessibility.getFullAXTree")) as {
      nodes: { role?: { value: string }; name?: { value: string } }[];
    };
    const named = (role: string) => nodes.filter((node) => node.role?.value === role).map((node) => node.name?.value);
    for (const role of ["banner", "main", "contentinfo", "navigation", "tree", "table"])
      expect(named(role), role).toHaveLength(1);
    expect(named("heading")).toEqual(
      expect.arrayContaining(["Figures", "From run to healthy", "Where the bytes are", "Checks"]),
    );
    expect(named("treeitem").length).toBeGreaterThan(3);
    expect(named("treeitem").every((name) => /of the image/.test(name ?? ""))).toBe(true);
    expect(named("rowheader")).toHaveLength(3);
    expect(nodes.some((node) => node.name?.value?.startsWith("failed:"))).toBe(true);
  });
});

function sentenceOf(verification: Verification): string {
  const [, sentence = ""] = /<p class="sentence \w+">(.*?)<\/p>/s.exec(verdictHtml(verification)) ?? [];
  return sentence.replaceAll(/<[^>]*>/g, "");
}

/** WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const channels = (/rgba?\((\d+), (\d+), (\d+)/.exec(colour) ?? []).slice(1, 4).map((value) => {
    const share = Number(value) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const [red = Number.NaN, green = Number.NaN, blue = Number.NaN] = channels;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].toSorted((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}
