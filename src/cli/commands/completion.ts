import { SheafError } from "../../errors.ts";
import type { Command } from "../command.ts";
import { loadCommand, summaries } from "../commands.ts";

const shells = ["bash", "zsh", "fish"] as const;

export const completion: Command = {
  name: "completion",
  summary: "print a completion script for bash, zsh or fish",
  arguments: [{ name: "shell", summary: "bash, zsh or fish", required: true }],
  options: [],
  examples: ["source <(sheaf completion bash)", "sheaf completion fish > ~/.config/fish/completions/sheaf.fish"],
  async run(input) {
    const shell = shells.find((each) => each === input.arguments[0]);
    if (!shell)
      throw new SheafError("SHEAF_OPTION", `there is no completion for ${input.arguments[0]}`, {
        hint: shells.join(", "),
      });
    const flags = new Map<string, string[]>();
    for (const name of Object.keys(summaries)) {
      const command = await loadCommand(name);
      const own = command.options.flatMap((option) => option.flags.match(/--[a-z-]+/)?.[0] ?? []);
      flags.set(name, [...own, "--cache-dir", "--offline", "--refresh", "--progress", "--quiet", "--json", "--help"]);
    }
    return { text: () => scripts[shell](flags) };
  },
};

const scripts: Record<(typeof shells)[number], (flags: Map<string, string[]>) => string> = {
  bash: (flags) => `_sheaf() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${[...flags.keys()].join(" ")}" -- "$word")); return; fi
  case \${COMP_WORDS[1]} in
${[...flags].map(([name, words]) => `    ${name}) COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$word") $(compgen -d -- "$word"));;`).join("\n")}
  esac
}
complete -o filenames -F _sheaf sheaf`,
  zsh: (flags) => `#compdef sheaf
_sheaf() {
  if (( CURRENT == 2 )); then compadd ${[...flags.keys()].join(" ")}; return; fi
  case $words[2] in
${[...flags].map(([name, words]) => `    ${name}) compadd -- ${words.join(" ")}; _files -/;;`).join("\n")}
  esac
}
compdef _sheaf sheaf`,
  fish: (flags) =>
    [
      `complete -c sheaf -f -n __fish_use_subcommand -a "${[...flags.keys()].join(" ")}"`,
      ...[...flags].flatMap(([name, words]) =>
        words.map((word) => `complete -c sheaf -n "__fish_seen_subcommand_from ${name}" -l ${word.slice(2)}`),
      ),
    ].join("\n"),
};
