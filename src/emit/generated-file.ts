import { createHash } from "node:crypto";

import { sheafHeader, sheafHeaderLines } from "../project/evidence/written-by-sheaf.ts";

/**
 * Files that Sheaf writes into a repository carry one comment line that says so, with a digest of all other lines. That
 * line is what tells them from files that a person wrote or changed: those are never overwritten unasked.
 */
export type Authorship = "sheaf" | "edited" | "foreign";

/** What Sheaf's line in a file tells. */
export interface GeneratedHeader {
  /** The command that wrote it: `sheaf dockerfile`. */
  command: string;
  /** Digest of the other lines when it was written. */
  digest: string;
  /** Line of the header, from 0. */
  line: number;
}

/** Lines that BuildKit reads only where no other comment stands before them. */
const parserDirective = /^#\s*(?:syntax|escape|check)\s*=/i;

/**
 * Puts the header on top of a text of lines whose comments start with `#`: before everything but a Dockerfile's parser
 * directives.
 *
 * @param command what wrote it, and writes it again: `sheaf dockerfile`
 */
export function withHeader(command: string, body: string): string {
  const lines = linesOf(body);
  const found = lines.findIndex((line) => !parserDirective.test(line));
  const at = found === -1 ? lines.length : found;
  const header = `# Written by Sheaf: ${command}, sha256:${digestOf(lines)}. Run it again after a change; it keeps what you edit.`;
  return `${[...lines.slice(0, at), header, ...lines.slice(at)].join("\n")}\n`;
}

/** The header of a file, if it has one. */
export function readHeader(text: string): GeneratedHeader | undefined {
  const lines = linesOf(text);
  for (let line = 0; line < Math.min(lines.length, sheafHeaderLines); line += 1) {
    const found = sheafHeader.exec(lines[line] ?? "");
    if (found) return { command: found[1] ?? "", digest: found[2] ?? "", line };
    if (!parserDirective.test(lines[line] ?? "")) return undefined;
  }
  return undefined;
}

/** Who a file's text is from: Sheaf, Sheaf and then somebody else, or somebody else. Line endings don't count. */
export function authorship(text: string): Authorship {
  const header = readHeader(text);
  if (!header) return "foreign";
  const others = linesOf(text).filter((_, index) => index !== header.line);
  return digestOf(others) === header.digest ? "sheaf" : "edited";
}

/** Whether two texts differ in nothing but their line endings. */
export function sameLines(one: string, other: string): boolean {
  return one === other || linesOf(one).join("\n") === linesOf(other).join("\n");
}

/** Without line endings, whether git wrote them as LF or CRLF, and without what follows the last one. */
export function linesOf(text: string): string[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function digestOf(lines: readonly string[]): string {
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16);
}
