import { parseShell } from "../../project/evidence/shell.ts";
import type { StaticCheck, StaticContext } from "../check.ts";
import { fail, type Finding, notApplicable, pass } from "../finding.ts";
import { findProgram, isExecutable, shebangOf } from "../facts/programs.ts";
import { shellPrograms } from "../facts/shell-programs.ts";
import { startWords, withoutInit } from "../role.ts";

const shellName = /(?:^|\/)(?:ba|da|z|k|a)?sh$/;

export const configCommand: StaticCheck = {
  id: "config.command",
  title: "the start command is in the image and can be executed",
  holds:
    "The first word of Entrypoint and Cmd, the program behind an init such as tini, and the programs of a shell form are found through the image's PATH, are executable, and their `#!` interpreters are there too.",
  why: "A container whose command is missing ends with 127 at once. Copying site-packages from a builder leaves the scripts in /usr/local/bin behind, and scripts point at the builder's interpreter.",
  sources: ["execve(2)", "the recipe that copies site-packages without /usr/local/bin"],
  run: (context) => {
    const config = context.image.config.config ?? {};
    const words = startWords(config);
    if (words.length === 0) {
      if (context.contract.role === "base") return notApplicable("a base image has no command");
      return fail("there is neither an entrypoint nor a command", {
        hint: 'end the Dockerfile with CMD ["uvicorn", …]',
      });
    }
    const command = withoutInit(words);
    const init = command.length < words.length ? [words[0] ?? ""] : [];
    for (const word of [...init, ...programsOf(command)]) {
      const problem = problemOf(word, context);
      if (problem) return problem;
    }
    return pass(`${words.join(" ").slice(0, 80)}`);
  },
};

/** `sh -c "…"` hides its programs in a word. */
function programsOf([program = "", flag = "", text = ""]: readonly string[]): string[] {
  const isShell = shellName.test(program) && /^-[a-z]*c$/.test(flag);
  return [program, ...(isShell ? shellPrograms(text) : [])].filter((word) => word !== "");
}

function problemOf(word: string, { image, facts }: StaticContext): Finding | undefined {
  const config = image.config.config ?? {};
  const found = findProgram(facts, word, config);
  if (!found) {
    const elsewhere = [...facts.files.values()].find(
      (file) => file.path.endsWith(`/bin/${word}`) && isExecutable(file),
    );
    return fail(`${word} is not in the image`, {
      evidence: elsewhere ? [`there is /${elsewhere.path}, which PATH does not lead to`] : [],
      hint: elsewhere
        ? `add its folder to PATH, or start /${elsewhere.path}`
        : `install what brings ${word} into the last stage too: scripts lie in /usr/local/bin, not in site-packages`,
    });
  }
  if (!isExecutable(found.file))
    return fail(`/${found.path} is not executable`, { hint: `chmod 755 /${found.path} before it is copied` });
  const shebang = shebangOf(found.file);
  if (!shebang) return undefined;
  const interpreter = findProgram(facts, shebang.interpreter, config);
  if (interpreter && isExecutable(interpreter.file)) return undefined;
  return fail(`${word} starts with #!${shebang.interpreter}, which is not in the image`, {
    hint: "install it with the image's own interpreter, or copy the virtual environment to the path where it was made",
  });
}

export const configExecForm: StaticCheck = {
  id: "config.exec-form",
  title: "signals reach the server: no shell stands between",
  holds: "Entrypoint and Cmd are in exec form; a shell form passes when it hands over with `exec`.",
  why: "dash, the shell of Debian, stays PID 1 and passes no SIGTERM on: the server is killed after the grace period, with every request in flight.",
  sources: [
    "Dockerfile reference: shell and exec form",
    'measured: `sh -c "uvicorn …"` ignores SIGTERM, `sh -c "exec uvicorn …"` ends in 0.3 s',
  ],
  run: ({ image, contract }) => {
    const words = withoutInit(startWords(image.config.config ?? {}));
    if (words.length === 0) return notApplicable("there is no command");
    const [program = "", flag = "", text = ""] = words;
    if (!shellName.test(program) || !/^-[a-z]*c$/.test(flag)) return pass("exec form");
    if (contract.role === "base") return notApplicable("a base image starts no server");
    const last = parseShell(text).findLast((command) => command.words.length > 0);
    if (last?.words[0] === "exec") return pass("the shell hands over with exec");
    return fail(`the command is the shell ${program}, which passes no signals on`, {
      evidence: [`${program} ${flag} ${JSON.stringify(text)}`],
      hint: `use the exec form: ${JSON.stringify((last?.words ?? []).slice(0, 6))}, or begin the last command with exec`,
    });
  },
};
