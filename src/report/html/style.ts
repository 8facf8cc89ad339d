/** The page's looks: calm, one column, by system fonts; light and dark, narrow and printed. */
export const pageStyle = `
:root { color-scheme: light dark; --paper: #fbfaf8; --card: #fff; --ink: #22252a; --quiet: #62676f; --line: #e4e1dc;
  --good: #2c7a4b; --bad: #b3261e; --warn: #8a5a00; --bad-soft: #fbeceb; --warn-soft: #fbf3e2; --good-soft: #e9f4ed; --focus: #1f5fbf;
  --python: #cfe0f3; --debian: #d3e9dc; --own: #f3e3bd; --lost: #f3cfca; --edge: #fbfaf8; --block: #efece7; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #16181b; --card: #1e2125; --ink: #e6e4e0; --quiet: #a0a5ac; --line: #33373d;
  --good: #7fcf9d; --bad: #ff9b92; --warn: #e8bd6a; --bad-soft: #3a2220; --warn-soft: #372d1a; --good-soft: #1d3327; --focus: #8ab8ff;
  --python: #2c4664; --debian: #2b5040; --own: #5c4a1f; --lost: #6b332d; --edge: #16181b; --block: #26292e; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; overflow-wrap: anywhere; }
main, header, footer { max-width: 70rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 3rem; }
h1, h2, h3 { line-height: 1.25; font-weight: 650; margin: 0; }
h1 { font-size: 1.9rem; letter-spacing: -.015em; }
h2 { font-size: 1.15rem; margin: 3rem 0 .25rem; }
h3 { font-size: 1rem; display: inline; }
p { margin: .5rem 0; }
code, .evidence { font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; font-size: .875em; }
a { color: inherit; }
.quiet, .meta, .sources, .told, footer, caption { color: var(--quiet); font-size: .875rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
.sentence { font-size: 1.15rem; margin: .6rem 0 0; padding-left: .9rem; border-left: 4px solid var(--quiet); }
.sentence.pass { border-color: var(--good); } .sentence.fail { border-color: var(--bad); } .sentence.incomplete { border-color: var(--warn); }
.meta { display: flex; flex-wrap: wrap; gap: .1rem 1.5rem; margin: 1rem 0 0; }
.meta div { display: flex; gap: .4rem; min-width: 0; } .meta dt { flex: none; } .meta dd { margin: 0; color: var(--ink); min-width: 0; }
.worst { list-style: none; margin: 1rem 0 0; padding: 0; }
.worst li { margin: .15rem 0; }
.new { color: var(--quiet); font-size: .85em; }
.figures { list-style: none; margin: 2rem 0 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 12.5rem), 1fr)); gap: .75rem; }
.figures a { display: block; height: 100%; padding: .8rem 1rem .9rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; text-decoration: none; }
.figures a:hover { border-color: var(--quiet); }
.what { display: block; color: var(--quiet); font-size: .8125rem; }
.value { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; } .value small { font-size: .8125rem; font-weight: 400; color: var(--quiet); }
.bar { display: block; height: 5px; margin-top: .5rem; border-radius: 3px; background: var(--block); overflow: hidden; }
.bar span { display: block; height: 100%; width: calc(var(--to) * 1%); background: var(--good); border-radius: 3px; }
.fail .bar span { background: var(--bad); } .warn .bar span { background: var(--warn); }
.crumbs { margin: .75rem 0 .4rem; min-height: 1.8rem; font-size: .875rem; }
.crumbs button { font: inherit; color: inherit; background: none; border: 0; padding: .15rem .3rem; margin-left: -.3rem; cursor: pointer; text-decoration: underline; text-underline-offset: 3px; text-decoration-color: var(--quiet); }
.crumbs button[aria-current] { text-decoration: none; font-weight: 600; cursor: default; }
.crumbs button + button { margin-left: .8rem; position: relative; } .crumbs button + button::before { content: "›"; position: absolute; left: -.65rem; color: var(--quiet); }
.map { position: relative; aspect-ratio: 9 / 5; border-radius: 10px; overflow: hidden; background: var(--block); font-size: .75rem; line-height: 1.25; }
.map ul { list-style: none; margin: 0; padding: 0; }
.kids { position: absolute; inset: 0; }
.node { position: absolute; left: calc(var(--x) * 1%); top: calc(var(--y) * 1%); width: calc(var(--w) * 1%); height: calc(var(--h) * 1%);
  overflow: hidden; border: 1px solid var(--edge); border-radius: 3px; cursor: pointer; background: var(--block); }
.zoomed > .kids > .node { left: calc(var(--X) * 1%); top: calc(var(--Y) * 1%); width: calc(var(--W) * 1%); height: calc(var(--H) * 1%); }
.node > .kids { inset: 20px 3px 3px; }
.python { background: var(--python); } .debian { background: var(--debian); } .own { background: var(--own); }
.lost { background: repeating-linear-gradient(135deg, var(--lost) 0 6px, transparent 6px 9px), var(--block); }
.owner > .kids { display: none; }
.zoomed > .kids > .owner > .kids, .owner.zoomed > .kids { display: block; }
.folder { border-color: color-mix(in srgb, var(--ink) 22%, transparent); }
.label { position: absolute; inset: 0 0 auto; padding: 2px 5px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; pointer-events: none; }
.label b { font-weight: 550; } .label i { font-style: normal; opacity: .75; }
.small > .label { display: none; }
.zoomed > .kids > .small:not(.small-full) > .label { display: block; } .zoomed > .kids > .small-full > .label { display: none; }
.node:hover { filter: brightness(1.04) saturate(1.15); }
.node:focus { outline: none; } .node:focus-visible { outline: 3px solid var(--focus); outline-offset: -3px; z-index: 1; }
.map .passed > .kids > .node { display: none; }
.map .passed > .kids > .node.passed, .map .passed > .kids > .node.zoomed, .map.passed > .kids > .node.passed, .map.passed > .kids > .node.zoomed { display: block; inset: 0; width: auto; height: auto; border: 0; border-radius: 0; }
.map.passed > .kids > .node { display: none; }
.node.passed > .label, .node.zoomed > .label { display: none !important; }
.node.passed > .kids, .node.zoomed > .kids { inset: 0; display: block; }
.told { min-height: 2.7em; margin: .6rem 0 0; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .2rem 0 0; padding: 0; font-size: .8125rem; }
.legend li { background: none; } .legend li::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .45em; border-radius: 2px; background: inherit; }
.legend .python::before { background: var(--python); } .legend .debian::before { background: var(--debian); } .legend .own::before { background: var(--own); } .legend .lost::before { background: var(--lost); }
table { border-collapse: collapse; width: 100%; margin-top: .5rem; font-size: .9375rem; }
caption { text-align: left; } th { font-weight: 400; text-align: left; } th, td { padding: .3rem .8rem .3rem 0; vertical-align: middle; }
tbody tr { border-top: 1px solid var(--line); } .figure { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; padding-right: 0; }
.limit { color: var(--quiet); }
.arch0 { --arch: #5b8fd0; } .arch1 { --arch: #e08a3c; } .arch2 { --arch: #4f9d69; } .arch3 { --arch: #a878c0; } .arch4 { --arch: #c9a227; } .arch5 { --arch: #4ba3a3; } .arch6 { --arch: #cf6a87; } .arch7 { --arch: #8a7a66; } .needless { --arch: var(--line); }
.legend.device li::before { background: var(--arch); } .device .span { width: 55%; } .device .span > span:first-child { position: relative; display: block; height: 14px; }
.device .span span span { position: absolute; inset: 0 auto 0 calc(var(--from) * 1%); width: max(1px, calc((var(--to) - var(--from)) * 1%)); background: var(--arch); border-right: 1px solid var(--paper); }
.timeline .span { width: 50%; } .timeline .span span { position: relative; display: block; height: 10px; background: var(--block); border-radius: 5px; }
.timeline .span span::after { content: ""; position: absolute; inset: 0 auto 0 calc(var(--from) * 1%); width: max(4px, calc((var(--to) - var(--from)) * 1%)); background: var(--good); border-radius: 5px; }
.timeline .late .span span::after { background: var(--bad); }
summary { cursor: pointer; list-style: none; position: relative; padding-right: 1.5rem; } summary::-webkit-details-marker { display: none; }
.group { border-top: 1px solid var(--line); padding: .15rem 0; } .group:last-of-type { border-bottom: 1px solid var(--line); }
.group > summary { padding: .65rem 1.5rem .65rem 0; } .group > summary::after, .check > summary::after { content: "+"; position: absolute; right: 0; top: 0; color: var(--quiet); } .group > summary::after { top: .65rem; }
.group[open] > summary::after, .check[open] > summary::after { content: "−"; }
.count { margin-left: .6rem; font-size: .875rem; color: var(--quiet); } .count.fail, .count.error { color: var(--bad); font-weight: 600; } .count.warn { color: var(--warn); font-weight: 600; }
.check { margin: .2rem 0; padding: .35rem .9rem; border-radius: 8px; } .check[open] { background: var(--card); box-shadow: inset 0 0 0 1px var(--line); margin: .5rem 0; padding: .7rem .9rem; }
.check.fail[open], .check.error[open] { background: var(--bad-soft); box-shadow: none; } .check.warn[open] { background: var(--warn-soft); box-shadow: none; }
.mark { display: inline-block; width: 1.3rem; font-weight: 700; } .pass .mark { color: var(--good); } .fail .mark, .error .mark { color: var(--bad); } .warn .mark { color: var(--warn); } .skipped .mark { color: var(--quiet); }
.measured { margin-left: .5rem; } .fail > summary .measured, .error > summary .measured { font-weight: 600; } .measured .limit { margin-left: .4rem; font-weight: 400; }
.skipped .measured { color: var(--quiet); }
.body { padding-left: 1.3rem; font-size: .9375rem; } .evidence { list-style: none; margin: .6rem 0; padding: 0 0 0 .8rem; border-left: 2px solid var(--line); } .evidence li { white-space: pre-wrap; }
.promise { color: var(--quiet); } .body b { font-weight: 600; margin-right: .3rem; }
footer { padding-top: 2.5rem; padding-bottom: 4rem; }
@media (max-width: 40rem) { main, header, footer { padding-left: 1rem; padding-right: 1rem; } header { padding-top: 1.5rem; } h1 { font-size: 1.5rem; }
  .figures { grid-template-columns: 1fr 1fr; gap: .5rem; } .figures a { padding: .6rem .7rem; } .value { font-size: 1.05rem; } .what { font-size: .75rem; }
  .map { aspect-ratio: 4 / 5; } .tight > .label { display: none; } .zoomed > .kids > .tight:not(.tight-full) > .label { display: block; } .zoomed > .kids > .tight-full > .label { display: none; } .body { padding-left: 0; } .measured { display: block; margin-left: 1.3rem; } .timeline .span { width: 30%; } .figure { white-space: normal; } }
@media (prefers-reduced-motion: no-preference) { .node { transition: filter .15s; } }
@media print { :root { color-scheme: light; --paper: #fff; --card: #fff; } body { font-size: 11px; } header { padding-top: 0; } .crumbs, .told, summary::after { display: none !important; }
  .map, .bar, .bar span, .span span, .device span, .legend li::before { print-color-adjust: exact; -webkit-print-color-adjust: exact; } .check, .map, .figures li { break-inside: avoid; } h2 { break-after: avoid; } a { text-decoration: none; } }
`;
