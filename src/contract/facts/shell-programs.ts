import { parseShell } from "../../project/evidence/shell.ts";

/** Words that the shell itself understands. */
const builtins = new Set(
  ". : [ alias bg break cd command continue echo eval exec exit export false fg getopts hash jobs kill local printf pwd read readonly return set shift source test times trap true type ulimit umask unalias unset wait".split(
    " ",
  ),
);

/** The programs that a shell's text runs, as far as it can be told without running it. */
export function shellPrograms(text: string): string[] {
  const found = parseShell(text).flatMap(({ words, dynamic }): string[] => {
    const [first = "", ...rest] = words[0] === "exec" ? words.slice(words[1] === "-a" ? 3 : 1) : words;
    if (dynamic && !/^[\w./-]+$/.test(first)) return [];
    return builtins.has(first) || first === "" ? [] : [first, ...behind(first, rest)];
  });
  return [...new Set(found)];
}

/** Programs that only start another one. */
function behind(first: string, rest: readonly string[]): string[] {
  if (first !== "env" && first !== "nohup" && first !== "timeout") return [];
  const next = rest.find((word) => !/^-|=|^\d+[smh]?$/.test(word));
  return next === undefined ? [] : [next];
}
