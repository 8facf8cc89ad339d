import { printable, type Style, wrap } from "./text.ts";

interface Note {
  level: "note" | "warning";
  message: string;
  hint?: string;
}

/** Notes and warnings, each with its hint below it, within `width` columns. */
export function noteLines(notes: readonly Note[], style: Style, width: number): string[] {
  return notes.flatMap(({ level, message, hint }) => {
    const label = level === "warning" ? style.yellow("warning") : style.cyan("note");
    const indent = " ".repeat(level.length + 4);
    const room = width - indent.length;
    const [first = "", ...more] = wrap(printable(message), room);
    return [
      `  ${label}  ${first}`,
      ...more.map((line) => `${indent}${line}`),
      ...(hint ? wrap(printable(hint), room).map((line) => `${indent}${style.dim(line)}`) : []),
    ];
  });
}
