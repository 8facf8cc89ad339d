import { SheafError } from "../errors.ts";
import type { Entry } from "../filesystem/entry.ts";
import { field, parseControl } from "./control.ts";
import type { DebEffect } from "./effects.ts";
import type { ControlMembers } from "./open-deb.ts";
import { UnknownStatement } from "./script-error.ts";
import { ScriptHost } from "./script-host.ts";
import { evaluateShell } from "./shell/evaluate.ts";
import { parseShell } from "./shell/parse.ts";
import { ShellSyntaxError } from "./shell/syntax.ts";

export interface ScriptOptions {
  name: string;
  architecture: string;
  control: ControlMembers;
  /** What the package unpacks. */
  entries: Entry[];
  /** Passes over the scripts whatever they do. */
  ignore: boolean;
}

/**
 * What a package's maintainer scripts and triggers would do when it is installed for the first time (Debian policy 6.5,
 * `preinst install`, `postinst configure`) into a root in which it alone is unpacked. The scripts are read, not run.
 *
 * @throws SheafError SHEAF_DEB_SCRIPT for a statement that is not known to be harmless or modelled
 */
export function scriptEffects(options: ScriptOptions): DebEffect[] {
  const { control, name } = options;
  const effects = triggerEffects(control);
  if (options.ignore) return effects;
  const host = new ScriptHost({
    name,
    architecture: options.architecture,
    entries: new Map(
      options.entries.map((entry) => [entry.path, { type: entry.type, mode: entry.mode, text: () => textOf(entry) }]),
    ),
    answers: readAnswers(control),
  });
  for (const [script, argument] of [
    ["preinst", "install"],
    ["postinst", "configure"],
  ] as const) {
    const bytes = control.get(script);
    if (bytes) follow({ script, argument, text: Buffer.from(bytes).toString("utf8"), host, options });
  }
  return [...effects, ...host.effects];
}

interface ScriptRun {
  script: string;
  argument: string;
  text: string;
  host: ScriptHost;
  options: ScriptOptions;
}

function follow({ script, argument, text, host, options }: ScriptRun): void {
  const { name, architecture } = options;
  const [first = ""] = text.split("\n");
  if (!/^#!\s*\/(usr\/)?bin\/(env\s+)?(sh|dash|bash)(\s|$)/.test(first))
    throw unknownScript({ name, script, text, line: 1, reason: "is not a shell script" });
  try {
    evaluateShell(parseShell(withoutLocalFolders(text)), host, {
      args: [argument],
      variables: {
        DPKG_ROOT: "",
        DPKG_MAINTSCRIPT_NAME: script,
        DPKG_MAINTSCRIPT_PACKAGE: name,
        DPKG_MAINTSCRIPT_ARCH: architecture,
        DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT: "1",
        DEBIAN_FRONTEND: "noninteractive",
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        IFS: " \t\n",
      },
    });
  } catch (error) {
    if (error instanceof UnknownStatement || error instanceof ShellSyntaxError) {
      throw unknownScript({ name, script, text, line: error.line, reason: error.message });
    }
    throw error;
  }
}

/**
 * debhelper's part that makes a package's empty folders under /usr/local, where images have none of them. Its lines stay, as
 * empty ones, so that errors name the right line.
 */
function withoutLocalFolders(text: string): string {
  return text.replaceAll(
    /^# Automatically added by dh_usrlocal\/[\w.~+-]+\n[\s\S]*?^# End automatically added section$/gm,
    (section) => section.replaceAll(/[^\n]+/g, ""),
  );
}

function unknownScript(found: {
  name: string;
  script: string;
  text: string;
  line: number;
  reason: string;
}): SheafError {
  const { name, script, text, line, reason } = found;
  return new SheafError(
    "SHEAF_DEB_SCRIPT",
    `${name} does something on installation that Sheaf does not know: ${script}, line ${line}: ${reason}`,
    {
      details: [[`${script}:${line}`, (text.split("\n")[line - 1] ?? "").trim()]],
      hint: [
        `if the image can do without what the script does, add ignore-scripts = [${JSON.stringify(name)}] to [tool.sheaf]`,
        "or leave the package out of packages, or take a base image that has it: --base",
      ],
    },
  );
}

/** Only ldconfig's trigger matters to an image; the others make caches. */
function triggerEffects(control: ControlMembers): DebEffect[] {
  const text = Buffer.from(control.get("triggers") ?? []).toString("utf8");
  return /^activate(-noawait|-await)?\s+ldconfig\s*$/m.test(text) ? [{ kind: "ldconfig" }] : [];
}

function readAnswers(control: ControlMembers): Map<string, string> {
  const templates = parseControl(Buffer.from(control.get("templates") ?? []).toString("utf8"));
  const defaults = templates.map(
    (template) => [field(template, "Template") ?? "", field(template, "Default") ?? ""] as const,
  );
  return new Map([...defaults, ...answersOfConfigScripts]);
}

/** Defaults that a package's config script gives, not its templates: the time zone is UTC. */
const answersOfConfigScripts = [
  ["tzdata/Areas", "Etc"],
  ["tzdata/Zones/Etc", "UTC"],
] as const;

function textOf(entry: Entry): string {
  if (entry.type === "symlink") return entry.target;
  return entry.type === "file" && entry.content.kind === "bytes"
    ? Buffer.from(entry.content.bytes).toString("utf8")
    : "";
}
