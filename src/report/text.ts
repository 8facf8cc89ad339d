export { formatBytes, formatSeconds, plural } from "../units.ts";

/** Terminal styling: colour marks, never carries, meaning. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** Styles for a stream: none when it is not a terminal, NO_COLOR is set, or TERM is dumb; FORCE_COLOR asks for them. */
export function styleFor(stream: { isTTY?: boolean }, environment: NodeJS.ProcessEnv = process.env): Style {
  const forced = environment["FORCE_COLOR"] !== undefined && environment["FORCE_COLOR"] !== "0";
  const wanted = !environment["NO_COLOR"] && environment["TERM"] !== "dumb" && (forced || stream.isTTY === true);
  const paint = (open: number, close: number) => (text: string) =>
    wanted ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

/** Cuts with an ellipsis so that a line of a table stays one line. */
export function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(1, width - 1))}…`;
}

/** Lines of at most `width` characters, broken between words; a longer word is broken too. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length <= width) {
      line = `${line} ${word}`;
      continue;
    }
    if (line !== "") lines.push(line);
    line = word;
    for (; line.length > width; line = line.slice(width)) lines.push(line.slice(0, width));
  }
  return [...lines, line];
}

/** Takes control characters out of text that comes from files, archives and servers. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what has to go
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\uFFFD");
}

/** Columns aligned by their widest cell; `right` names the columns that hold figures. */
export function alignColumns(rows: string[][], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, visibleLength(cell));
  return rows.map((row) =>
    row
      .map((cell, index) => {
        const pad = " ".repeat(Math.max(0, (widths[index] ?? 0) - visibleLength(cell)));
        return right.includes(index) ? pad + cell : cell + pad;
      })
      .join("  ")
      .trimEnd(),
  );
}

export function visibleLength(text: string): number {
  // oxlint-disable-next-line no-control-regex -- the escapes that Style writes
  return text.replaceAll(/\u001b\[\d+m/g, "").length;
}
