import type { DebianArchive } from "../debian/archive.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import type { Platform } from "../platform.ts";
import type { Project } from "../project/project.ts";
import { satisfies } from "../resolve/specifiers.ts";
import type { ChosenBase } from "./base-image.ts";
import { type ChosenPython, choosePython, debianOffers, type WantedOffer } from "./choose-python.ts";
import { pythonWithWheels } from "./python-with-wheels.ts";
import type { PlanServices } from "./services.ts";

export interface ProjectPythonQuestion {
  project: Project;
  platform: Platform;
  /** `--python` */
  flag?: string;
  /** Debian suite of the base. */
  suite?: string;
  /** The base image; undefined when it is composed. */
  base?: ChosenBase;
  archive: (suite: string | undefined) => Promise<DebianArchive>;
  /** How many distributions have no wheel for an interpreter. */
  countSdists: (choice: InterpreterChoice, tentative: boolean) => Promise<number>;
  /** Hears of the choice before the distributions have a say in it, unless a base image decides. */
  onFirst?: (choice: InterpreterChoice) => void;
}

/** The interpreter of a project's images: the base's own, as told, or one that the distributions have wheels for. */
export async function chooseProjectPython(
  question: ProjectPythonQuestion,
  services: PlanServices,
): Promise<ChosenPython> {
  const { project, platform, flag, suite, base, archive, countSdists, onFirst } = question;
  if (base) {
    const { archiveOver, pythonOver } = await import("./over-base.ts");
    return pythonOver(base, { project, platform, flag, archive: await archiveOver(base, archive) }, services);
  }
  const debian = async (wanted: WantedOffer) => {
    const { debianPythonVersion } = await import("../debian/python.ts");
    return debianOffers(await archive(suite), archive, { ...wanted, versionOf: debianPythonVersion });
  };
  const chosen = await choosePython({ project, platform, flag, debian }, services);
  onFirst?.(chosen.choice);
  if (flag ?? project.config.python ?? project.pythonVersion) return chosen;
  const choice = await pythonWithWheels({
    first: chosen.choice,
    allows: (version) => !project.requiresPython || satisfies(version, project.requiresPython.value),
    toBuild: async (version) => countSdists({ ...chosen.choice, version }, version !== chosen.choice.version),
    choose: async (minor) => (await choosePython({ project, platform, flag: minor, debian }, services)).choice,
  });
  return choice === chosen.choice ? chosen : { choice, notes: [] };
}
