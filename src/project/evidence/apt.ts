import type { EvidenceNote, Sourced } from "../project.ts";
import type { Stage } from "./dockerfile.ts";
import { parseShell, type Lookup, type ShellCommand } from "./shell.ts";

/** Debian packages that the stages of an image install and keep. Compilers and headers are noted and left out. */
export function debianPackages(
  stages: readonly Stage[],
  lookup: Lookup | undefined,
  file: string,
): { packages: Sourced<string>[]; notes: EvidenceNote[] } {
  const packages = new Map<string, Sourced<string>>();
  const tools = new Map<string, string[]>();
  for (const { instructions } of stages) {
    for (const { keyword, text, json, heredocs, line } of instructions) {
      if (keyword !== "RUN") continue;
      const source = `${file}:${line}`;
      const scripts = json ? [json.join(" ")] : heredocs.length > 0 ? heredocs.map(({ body }) => body) : [text];
      for (const command of scripts.flatMap((script) => parseShell(script, lookup))) {
        const { action, names } = aptCommand(command);
        for (const name of names) {
          if (action === "remove") packages.delete(name);
          else if (action === "install" && isBuildTool(name)) tools.set(source, [...(tools.get(source) ?? []), name]);
          else if (action === "install") packages.set(name, { value: name, source });
        }
      }
    }
  }
  const notes = [...tools].map(([source, names]) => ({
    what: `${[...new Set(names)].join(", ")} serve building and are left out`,
    source,
  }));
  return { packages: [...packages.values()], notes };
}

function aptCommand({ words }: ShellCommand): { action?: "install" | "remove"; names: string[] } {
  let index = 0;
  while (/^(?:sudo|env|[A-Z_]+=.*|eatmydata)$/.test(words[index] ?? "")) index++;
  if (!/^(?:\S*\/)?(?:apt|apt-get|aptitude)$/.test(words[index] ?? "")) return { names: [] };
  const names: string[] = [];
  let action: "install" | "remove" | undefined;
  for (index++; index < words.length; index++) {
    const word = words[index] as string;
    if (word.startsWith("-")) {
      if (/^(?:-t|-o|-c|--target-release|--option|--config-file)$/.test(word)) index++;
    } else if (action !== undefined) names.push(word);
    else if (word === "install" || word === "reinstall") action = "install";
    else if (/^(?:remove|purge|autoremove|autopurge)$/.test(word)) action = "remove";
    else return { names: [] };
  }
  return {
    action,
    names: names
      .map((name) => name.replace(/[=/].*$/, ""))
      .filter((name) => /^[a-z0-9][a-z0-9.+-]*(?::[a-z0-9]+)?$/.test(name)),
  };
}

/** What only compiles things, or is a tool of the build itself. */
function isBuildTool(name: string): boolean {
  return /^(?:build-essential|gcc|g\+\+|gcc-\d+|g\+\+-\d+|clang|clang-\d+|make|cmake|ninja-build|pkg-config|pkgconf|autoconf|automake|libtool|rustc|cargo|gfortran|git|python3?-(?:dev|pip|venv|setuptools|wheel)|python3\.\d+-(?:dev|venv)|.*-dev|software-properties-common|apt-transport-https|apt-utils)$/.test(
    name,
  );
}
