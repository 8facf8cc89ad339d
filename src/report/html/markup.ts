/** HTML that may stand in a page as it is. Only `markup` and `trusted` make it, so nothing foreign gets in unescaped. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | Markup | undefined | readonly Part[];

/** Template for HTML: every value is escaped unless it is Markup; lists are joined, undefined is nothing; no indentation. */
export function markup(literals: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Markup(
    literals.map((literal, index) => literal.replaceAll(/\n\s+/g, "\n") + rendered(values[index])).join(""),
  );
}

/** Text of our own that is markup, style or script already. */
export function trusted(text: string): Markup {
  return new Markup(text);
}

function rendered(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Markup) return part.text;
  if (typeof part === "object") return part.map(rendered).join("");
  return escapeText(visibleText(String(part)));
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** For text and for attributes in quotes, in HTML and in XML. */
export function escapeText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}

/**
 * Shows what has no glyph and what reorders its neighbours as an escape: `\x1b`, `\u202e`. Control characters, the marks and
 * overrides of bidirectional text (UAX #9), zero-width characters, non-characters and halves of surrogate pairs. Tabs and
 * line ends stay.
 */
export function visibleText(text: string): string {
  return text.replaceAll(invisible, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const invisible =
  // oxlint-disable-next-line no-control-regex, no-misleading-character-class -- these are what has to be shown
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]/gu;
