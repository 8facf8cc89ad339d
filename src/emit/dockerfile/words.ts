/** Exec form, as ENTRYPOINT, CMD and HEALTHCHECK take it: no shell, no expansion. */
export function execForm(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(", ")}]`;
}

/** A value of ENV, LABEL or WORKDIR, such that Docker takes every character for itself. */
export function literal(value: string): string {
  return /^[\w./:@%+,=-]+$/.test(value) ? value : `"${value.replaceAll(/[\\"$]/g, "\\$&")}"`;
}

/** A word of a shell command. */
export function shellWord(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** As wide as lines of several assignments get. */
const width = 100;

/** `KEYWORD a=1 b=2`, on as few lines as fit. */
export function assignments(keyword: string, pairs: readonly (readonly [name: string, value: string])[]): string[] {
  const lines: string[] = [];
  for (const [name, value] of pairs) {
    const word = `${name}=${value}`;
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`${last === undefined ? keyword : " ".repeat(keyword.length)} ${word}`);
  }
  return continued(lines);
}

/** One instruction over several lines. */
export function continued(lines: readonly string[]): string[] {
  return lines.map((line, index) => (index === lines.length - 1 ? line : `${line} \\`));
}

/** `# ` before every line of a comment. */
export function comment(...lines: readonly string[]): string[] {
  return lines.map((line) => (line === "" ? "#" : `# ${line}`));
}
