import { createHash } from "node:crypto";

import type { BaselineReport, CheckResult, ImageVerdict } from "../contract/verdict.ts";
import type { Verification } from "../contract/verify-image.ts";
import { formatBytes, formatSeconds, plural } from "../units.ts";
import { baselineLines } from "./baseline-lines.ts";
import { byteTree } from "./html/byte-tree.ts";
import { checkGroups } from "./html/checks.ts";
import { deviceCode } from "./html/device-code.ts";
import { figures } from "./html/figures.ts";
import { markup, type Markup, trusted } from "./html/markup.ts";
import { pageScript } from "./html/script.ts";
import { pageStyle } from "./html/style.ts";
import { timeline } from "./html/timeline.ts";
import { treemap } from "./html/treemap.ts";

/** The verdict as one page that needs nothing else: style, script and all it shows are in it, and it asks no network. */
export function verdictHtml({ verdict, facts, abouts, start, gpuTargets }: Verification): string {
  const tree = byteTree(facts);
  const page = markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${contentPolicy()}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${mark(verdict)} ${verdict.image} · sheaf verify</title>
        <link rel="icon" href="data:," />
        <style>${trusted(pageStyle)}</style>
      </head>
      <body>
        ${headerMarkup(verdict)}
        <main>
          ${baselineMarkup(verdict.baseline)} ${figures(verdict.checks)}
          ${
            start && start.length > 0
              ? markup`<section aria-labelledby="start">
                  <h2 id="start">From run to healthy</h2>
                  ${timeline(start)}
                </section>`
              : undefined
          }
          ${
            tree.children.length > 0
              ? markup`<section aria-labelledby="bytes">
                  <h2 id="bytes">Where the bytes are</h2>
                  <p class="quiet">
                    ${formatBytes(tree.bytes)} of files in ${plural(tree.children.length, "layer")}, by layer, by who
                    brought them, and by folder
                  </p>
                  ${treemap(tree)}
                </section>`
              : undefined
          }
          ${deviceCode(facts, gpuTargets ?? [])}
          <section aria-labelledby="checks">
            <h2 id="checks">Checks</h2>
            ${checkGroups(verdict.checks, abouts)}
          </section>
        </main>
        <footer>Written by sheaf verify. A check that did not run is never green.</footer>
        <script>${trusted(pageScript)}</script>
      </body>
    </html>
  `;
  return page.text;
}

/** Nothing may be loaded or sent; the one script is named by its hash. Styles are inline, of which attributes hold only figures. */
function contentPolicy(): Markup {
  const hash = createHash("sha256").update(pageScript).digest("base64");
  return trusted(
    `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`,
  );
}

function headerMarkup(verdict: ImageVerdict): Markup {
  const { image, digest, platform, runtime, seconds, checks } = verdict;
  const wrong = checks.filter((check) => check.verdict === "fail" || check.verdict === "error");
  return markup`<header>
    <h1><bdi>${image}</bdi></h1>
    <p class="sentence ${verdict.verdict}">${sentence(verdict)}</p>
    ${
      wrong.length > 1
        ? markup`<ul class="worst">
            ${wrong.slice(0, 12).map(
              (check) =>
                markup`<li>
                  <a href="#${check.id}"><code>${check.id}</code></a> <bdi>${check.measured}</bdi>${
                    verdict.baseline?.new.includes(check.id) ? markup` <b class="new">new</b>` : undefined
                  }
                </li>`,
            )}${wrong.length > 12 ? markup`<li>and ${wrong.length - 12} more</li>` : undefined}
          </ul>`
        : undefined
    }
    <dl class="meta">
      <div>
        <dt>digest</dt>
        <dd><code>${digest}</code></dd>
      </div>
      <div>
        <dt>platform</dt>
        <dd>${platform}</dd>
      </div>
      <div>
        <dt>run in</dt>
        <dd>${runtime ?? "nothing"}</dd>
      </div>
      <div>
        <dt>checked in</dt>
        <dd>${formatSeconds(seconds)}</dd>
      </div>
    </dl>
  </header>`;
}

function sentence({ verdict, checks }: ImageVerdict): Markup {
  const count = (wanted: CheckResult["verdict"]) => checks.filter((check) => check.verdict === wanted).length;
  const notRun = checks.filter((check) => check.notRun);
  const passed = plural(count("pass") + count("warn"), "check");
  const reasons = new Set(notRun.map(({ measured }) => measured));
  const reason = reasons.size === 1 ? ` (${[...reasons].join("")})` : "";
  const warned = count("warn") > 0 ? `, with ${plural(count("warn"), "warning")}` : "";
  if (verdict === "pass") return markup`It keeps its promises: all ${passed} passed${warned}.`;
  if (verdict === "incomplete")
    return markup`Nothing failed, but this is no pass: ${passed} passed${warned}, and ${notRun.length} ${notRun.length === 1 ? "was" : "were"} not run${reason}.`;
  const wrong = checks.filter((check) => check.verdict === "fail" || check.verdict === "error");
  const [first] = wrong;
  const left = notRun.length > 0 ? `; ${notRun.length} not run` : "";
  if (wrong.length === 1 && first) {
    const how = first.verdict === "fail" ? "It breaks one promise" : "One promise could not be decided";
    return markup`${how}, <a href="#${first.id}"><code>${first.id}</code></a>: <bdi>${first.measured}</bdi>. ${plural(count("pass"), "check")} passed${warned}${left}.`;
  }
  const passes = `${plural(count("pass"), "check")} passed${warned}${left}`;
  if (count("fail") === 0) return markup`${plural(count("error"), "promise")} could not be decided; ${passes}.`;
  const undecided = count("error") > 0 ? `, and ${count("error")} could not be decided` : "";
  return markup`It breaks ${plural(count("fail"), "promise")}${undecided}; ${passes}.`;
}

function mark({ verdict }: ImageVerdict): string {
  return { pass: "✓", fail: "✗", incomplete: "–" }[verdict];
}

function baselineMarkup(report: BaselineReport | undefined): Markup | undefined {
  if (!report) return undefined;
  return markup`<section aria-labelledby="baseline">
    <h2 id="baseline">Since the baseline</h2>
    <ul>
      ${baselineLines(report).map((line) => markup`<li><bdi>${line}</bdi></li>`)}
    </ul>
  </section>`;
}
