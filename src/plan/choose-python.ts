import * as path from "node:path";

import type { DebianArchive } from "../debian/archive.ts";
import { SheafError } from "../errors.ts";
import { chooseInterpreter, type InterpreterChoice, type InterpreterRequest, runsHere } from "../interpreter/choose.ts";
import { discoverInterpreters, thisMachine } from "../interpreter/discover.ts";
import type { Platform } from "../platform.ts";
import type { Project } from "../project/project.ts";
import { satisfies } from "../resolve/specifiers.ts";
import type { PlanNote } from "./image-plan.ts";
import type { PlanServices } from "./services.ts";

export interface PythonRequest {
  project: Project;
  platform: Platform;
  /** `--python` */
  flag?: string;
  /** Offers of Debian's archive, the base's own suite first. */
  debian?: () => Promise<{ version: string; suite: string }[]>;
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
  const tools = { store: services.store, emit: services.emit, debian, specifierMatches: satisfies };
  try {
    return { choice: await chooseInterpreter(request, tools), notes: [] };
  } catch (error) {
    if (!wish || !project.requiresPython || !(error instanceof SheafError) || error.code !== "SHEAF_NO_PYTHON")
      throw error;
    const source = project.requiresPython.source;
    const choice = await chooseInterpreter({ ...request, wanted: undefined, source }, tools);
    const message = `${wish.source} asks for Python ${wish.value}, which is neither on this machine nor to be had; ${choice.version} fits requires-python ${project.requiresPython.value}`;
    return {
      choice: { ...choice, reason: `${choice.reason}; ${wish.source} asks for ${wish.value}` },
      notes: [{ level: "note", message }],
    };
  }
}

/** An interpreter of this machine that compiles bytecode for the choice, if there is one. */
export function findCompiler(
  choice: InterpreterChoice,
  { platform, storeRoot }: { platform: Platform; storeRoot: string },
): string | undefined {
  if (choice.prefix !== undefined && runsHere(platform))
    return path.join(choice.prefix, "bin", `python${choice.minor}`);
  const { candidates } = discoverInterpreters(thisMachine(), path.join(storeRoot, "python"));
  const same = candidates.find((candidate) => candidate.minor === choice.minor && runsHere(platform));
  return same && path.join(same.prefix, "bin", `python${choice.minor}`);
}

/** Suites that may have a newer Python than the machine's own, oldest first. */
const laterSuites: Record<string, string[] | undefined> = {
  bullseye: ["bookworm", "trixie"],
  bookworm: ["trixie"],
};

/** Pythons of the base's suite, and of later suites of the same archive. */
export async function debianOffers(
  own: DebianArchive,
  open: (suite: string) => Promise<DebianArchive>,
  versionOf: (archive: DebianArchive) => string | undefined,
): Promise<{ version: string; suite: string }[]> {
  const archives = [own];
  for (const suite of laterSuites[own.codename] ?? []) archives.push(await open(suite));
  return archives.flatMap((archive) => {
    const version = versionOf(archive);
    return version ? [{ version, suite: archive.codename }] : [];
  });
}
