/**
 * Joins lines that end with a backslash. U+E000 stands in the newline's place, so that lines can be counted. Comments are not
 * joined.
 */
export function joinLines(text: string): string {
  return text.replaceAll("\\\n", (match, at: number) =>
    isEscaped(text, at) || isComment(text, at) ? match : " \uE000",
  );
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text[at - 1 - slashes] === "\\") slashes++;
  return slashes % 2 === 1;
}

function isComment(text: string, at: number): boolean {
  return /^[ \t]*#/.test(text.slice(text.lastIndexOf("\n", at - 1) + 1, at));
}
