import type { DebEffect } from "./effects.ts";
import { UnknownStatement } from "./script-error.ts";
import type { CommandCall } from "./shell/host.ts";

/** update-alternatives(1) --install, with its slaves; all else of it changes nothing in a root without alternatives. */
export function alternativesCommand({ args, line }: CommandCall): DebEffect[] {
  const at = args.indexOf("--install");
  if (at < 0) return [];
  const values = args.slice(at + 1);
  const slaves: { link: string; name: string; path: string }[] = [];
  const [link, name, path, priority] = known(values.slice(0, 4), line);
  for (let next = values.indexOf("--slave"); next >= 0; next = values.indexOf("--slave", next + 1)) {
    const [slaveLink = "", slaveName = "", slavePath = ""] = known(values.slice(next + 1, next + 4), line);
    slaves.push({ link: slaveLink, name: slaveName, path: slavePath });
  }
  if (!link || !name || !path || !/^-?\d+$/.test(priority ?? ""))
    throw new UnknownStatement(line, "update-alternatives with values that are missing");
  const names = [name, ...slaves.map((slave) => slave.name)];
  if (names.some((text) => !/^[^/\s]+$/.test(text) || text === "..")) {
    throw new UnknownStatement(line, "update-alternatives with a name that is none");
  }
  return [{ kind: "alternative", name, link, path, priority: Number(priority), slaves }];
}

function known(values: (string | undefined)[], line: number): string[] {
  return values.map((value) => {
    if (value === undefined)
      throw new UnknownStatement(line, "update-alternatives with values that depend on the machine");
    return value;
  });
}
