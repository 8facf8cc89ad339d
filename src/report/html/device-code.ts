import { deviceLibraries, type DeviceLibrary } from "../../contract/facts/device-code.ts";
import type { ImageFacts } from "../../contract/facts/image-facts.ts";
import { capabilityName, cubinRunsOn, ptxRunsOn } from "../../cuda/architecture.ts";
import { byKindAndArchitecture, type CodeSummary } from "../../cuda/summary.ts";
import { formatBytes, plural } from "../../units.ts";
import { markup, type Markup, trusted } from "./markup.ts";

/** More than these are one row together. */
const mostRows = 20;
/** Colours that style.ts has. */
const colours = 8;

/**
 * Code for GPUs by library and architecture, as bars; undefined for an image without any.
 *
 * @param promised compute capabilities as 86; code that none of these runs is grey
 */
export function deviceCode(facts: ImageFacts, promised: readonly number[]): Markup | undefined {
  const libraries = facts.derived(deviceLibraries);
  if (libraries.length === 0) return undefined;
  const total = sumByName(libraries.flatMap(({ code }) => code.code));
  const colourOf = new Map(total.map(({ name }, index) => [name, index % colours]));
  const classOf = (code: CodeSummary): string =>
    isWanted(code, promised) ? `arch${colourOf.get(code.name) ?? 0}` : "needless";
  const most = libraries[0]?.code.bytes ?? 1;
  const rows = rowsOf(libraries).map((row) => rowMarkup(row, { most, classOf }));
  const bytes = libraries.reduce((sum, { code }) => sum + code.bytes, 0);
  const made = promised.length > 0 ? `; made for ${promised.map(capabilityName).join(", ")}` : "";
  return markup`<section aria-labelledby="device-code">
    <h2 id="device-code">Code for GPUs</h2>
    <p class="quiet">
      ${formatBytes(bytes)} in ${plural(libraries.length, "library", "libraries")}, by the architecture that it is for${made}
    </p>
    <ul class="legend device">
      ${total.map((code) => markup`<li class="${trusted(classOf(code))}">${code.name} ${formatBytes(code.bytes)}${isWanted(code, promised) ? "" : ", for other GPUs"}</li>`)}
    </ul>
    <table class="device">
      <thead class="unseen">
        <tr>
          <th scope="col">library</th>
          <th scope="col">code</th>
          <td></td>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </section>`;
}

/** Whether a GPU that the image is made for can run it; all of it where nothing is promised. */
function isWanted({ kind, architecture }: CodeSummary, promised: readonly number[]): boolean {
  if (promised.length === 0) return true;
  return promised.some((gpu) => (kind === "cubin" ? cubinRunsOn(architecture, gpu) : ptxRunsOn(architecture, gpu)));
}

interface Row {
  name: string;
  path?: string;
  bytes: number;
  code: readonly CodeSummary[];
}

function rowsOf(libraries: readonly DeviceLibrary[]): Row[] {
  const rows = libraries.slice(0, mostRows).map(({ file: { path }, code: { bytes, code } }): Row => {
    return { name: nameOf(path), path: `/${path}`, bytes, code };
  });
  const rest = libraries.slice(mostRows).map(({ code }) => code);
  if (rest.length === 0) return rows;
  const bytes = rest.reduce((sum, each) => sum + each.bytes, 0);
  return [...rows, { name: `${rest.length} smaller`, bytes, code: sumByName(rest.flatMap(({ code }) => code)) }];
}

/** Extension modules are called alike, `_C.so`: those with the folder that they are in. */
function nameOf(path: string): string {
  const [name = path, folder = ""] = path.split("/").toReversed();
  return name.startsWith("lib") || folder === "" ? name : `${folder}/${name}`;
}

function rowMarkup(
  { name, path, bytes, code }: Row,
  { most, classOf }: { most: number; classOf: (code: CodeSummary) => string },
): Markup {
  let at = 0;
  const parts = code.map((each) => {
    const from = at;
    at += (each.bytes / most) * 100;
    const place = trusted(`--from:${from.toFixed(2)};--to:${Math.min(100, at).toFixed(2)}`);
    return markup`<span class="${trusted(classOf(each))}" style="${place}" title="${each.name} ${formatBytes(each.bytes)}"></span>`;
  });
  const said = code.map((each) => `${each.name} ${formatBytes(each.bytes)}`).join(", ");
  return markup`<tr>
    <th scope="row" title="${path}"><bdi>${name}</bdi></th>
    <td class="span"><span aria-hidden="true">${parts}</span><span class="unseen">${said}</span></td>
    <td class="figure">${formatBytes(bytes)}</td>
  </tr>`;
}

/** Machine code before PTX, ascending. */
function sumByName(code: readonly CodeSummary[]): CodeSummary[] {
  const sums = new Map<string, CodeSummary>();
  for (const each of code) {
    const known = sums.get(each.name);
    sums.set(
      each.name,
      known ? { ...known, bytes: known.bytes + each.bytes, images: known.images + each.images } : each,
    );
  }
  return [...sums.values()].sort(byKindAndArchitecture);
}
