import * as path from "node:path";

import type { DebianArchive } from "../debian/archive.ts";
import { SheafError } from "../errors.ts";
import { chooseInterpreter, type InterpreterChoice, runsHere } from "../interpreter/choose.ts";
import type { InterpreterRequest } from "../interpreter/request.ts";
import { discoverInterpreters, type Machine, thisMachine } from "../interpreter/discover.ts";
import { hostPlatform, machineOf, type Platform } from "../platform.ts";
import type { Project } from "../project/project.ts";
import { satisfies } from "../resolve/specifiers.ts";
import type { PlanNote } from "./image-plan.ts";
import type { PlanServices } from "./services.ts";

export interface PythonRequest {
  project: Project;
  platform: Platform;
  /** `--python` */
  flag?: string;
  /** Offers of Debian's archive, the base's own suite first; no more are looked for when one fits. */
  debian?: (wanted: WantedOffer) => Promise<{ version: string; suite: string }[]>;
}

export interface WantedOffer {
  fits: (version: string) => boolean;
  /** Whether Debian's next release may be asked too: not for a wish that may go unfulfilled. */
  unreleased: boolean;
}

export interface ChosenPython {
  choice: InterpreterChoice;
  notes: PlanNote[];
}

/**
 * The interpreter for a project. A version that the user configured is binding; one that .python-version or a Dockerfile
 * names is a wish: when it can't be had and requires-python allows another, that one is taken, with a note.
 */
export async function choosePython(
  { project, platform, flag, debian }: PythonRequest,
  services: PlanServices,
): Promise<ChosenPython> {
  const configured = flag ?? project.config.python;
  const wish = configured ? undefined : project.pythonVersion;
  const wanted = configured ?? wish?.value;
  const request: InterpreterRequest = {
    requires: project.requiresPython?.value,
    wanted,
    source: flag
      ? "--python"
      : configured
        ? `${project.configFile ?? "config"} python`
        : (wish?.source ?? project.requiresPython?.source ?? "default"),
    platform,
    offline: services.offline,
  };
  const tools = { store: services.store, emit: services.emit, specifierMatches: satisfies };
  const choose = async (asked: InterpreterRequest): Promise<InterpreterChoice> => {
    const unreleased = !(wish && asked.wanted !== undefined && project.requiresPython);
    const offers = debian && (() => debian({ fits: (version) => fits(version, asked), unreleased }));
    return chooseInterpreter(asked, { ...tools, debian: offers });
  };
  try {
    const choice = await choose(request);
    return { choice, notes: notesOn(choice) };
  } catch (error) {
    if (!wish || !project.requiresPython || !(error instanceof SheafError) || error.code !== "SHEAF_NO_PYTHON")
      throw error;
    const source = project.requiresPython.source;
    const choice = await choose({ ...request, wanted: undefined, source });
    const message = `${wish.source} asks for Python ${wish.value}, which is neither on this machine nor to be had; ${choice.version} fits requires-python ${project.requiresPython.value}`;
    return {
      choice: { ...choice, reason: `${choice.reason}; ${wish.source} asks for ${wish.value}` },
      notes: [{ level: "note", message }, ...notesOn(choice)],
    };
  }
}

function fits(version: string, { wanted, requires }: InterpreterRequest): boolean {
  const minor = (text: string) => text.split(".").slice(0, 2).join(".");
  return (wanted === undefined || minor(version) === minor(wanted)) && (!requires || satisfies(version, requires));
}

/** Debian's next release: complete and signed, but its packages still change. */
const unreleasedSuites = new Set(["forky"]);

function notesOn({ kind, version, suite }: InterpreterChoice): PlanNote[] {
  if (kind !== "debian" || !suite || !unreleasedSuites.has(suite)) return [];
  return [
    {
      level: "warning",
      message: `Python ${version} comes from ${suite}, Debian's testing, and so does the base: nothing older has it`,
      hint: `with Python ${version.split(".").slice(0, 2).join(".")} on this machine, or uv to download it, the base is stable Debian`,
    },
  ];
}

/**
 * An interpreter of this machine that compiles bytecode for the choice, if there is one. Bytecode is the same for every
 * architecture.
 */
export function findCompiler(
  choice: InterpreterChoice,
  { platform, storeRoot, machine = thisMachine() }: { platform: Platform; storeRoot: string; machine?: Machine },
): string | undefined {
  if (choice.prefix !== undefined && runsHere(platform))
    return path.join(choice.prefix, "bin", `python${choice.minor}`);
  const host = hostPlatform();
  const { candidates } = discoverInterpreters(machine, path.join(storeRoot, "python"));
  const same = candidates.find((each) => host && each.machine === machineOf(host) && each.minor === choice.minor);
  return same && path.join(same.prefix, "bin", `python${choice.minor}`);
}

/** Suites that may have a newer Python than the machine's own, oldest first. */
const laterSuites: Record<string, string[] | undefined> = {
  bullseye: ["bookworm", "trixie", "forky"],
  bookworm: ["trixie", "forky"],
  trixie: ["forky"],
};

/** Python of the base's suite, and of later suites of the same archive until one fits. */
export async function debianOffers(
  own: DebianArchive,
  open: (suite: string) => Promise<DebianArchive>,
  { versionOf, fits, unreleased }: WantedOffer & { versionOf: (archive: DebianArchive) => string | undefined },
): Promise<{ version: string; suite: string }[]> {
  const offers: { version: string; suite: string }[] = [];
  for (const suite of [own.codename, ...(laterSuites[own.codename] ?? [])]) {
    if (suite !== own.codename && unreleasedSuites.has(suite) && !unreleased) continue;
    const archive = suite === own.codename ? own : await openIfThere(suite, open);
    const version = archive && versionOf(archive);
    if (!version) continue;
    offers.push({ version, suite });
    if (fits(version)) break;
  }
  return offers;
}

/** A machine's keyring or mirror may not know a suite that is younger than itself. */
async function openIfThere(
  suite: string,
  open: (suite: string) => Promise<DebianArchive>,
): Promise<DebianArchive | undefined> {
  try {
    return await open(suite);
  } catch (error) {
    if (error instanceof SheafError && unreleasedSuites.has(suite)) return undefined;
    throw error;
  }
}
