import type { DebianArchive } from "../debian/archive.ts";
import { basePackages } from "../debian/base.ts";
import { type DebOptions, ingestDebs, ingestHostInterpreter } from "../ingest/ingest.ts";
import { hasInterpreter } from "../ingest/interpreter.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import { interpreterKey } from "../interpreter/collect.ts";
import type { PlanServices } from "./services.ts";

export interface EarlyWork {
  choice: InterpreterChoice;
  archive: () => Promise<DebianArchive>;
  shell: boolean;
  strip: boolean;
  ignoreScripts: string[];
  mtime: number;
}

/**
 * On a store that doesn't have the interpreter yet, it and the base are prepared while distributions are still being
 * resolved. Whoever needs them waits for this same work, and hears of its failure.
 */
export function startEarly(work: EarlyWork, services: PlanServices): void {
  const { choice, archive, shell, strip, ignoreScripts, mtime } = work;
  if (choice.kind === "debian" || choice.prefix === undefined) return;
  const options = { key: interpreterKey(choice, { strip }), strip, mtime };
  if (hasInterpreter(services.store, { storeRoot: services.store.root, choice, ...options })) return;
  ingestHostInterpreter(choice, options, services).catch(() => {});
  archive()
    .then((opened) => startBase({ archive: opened, shell }, { ignoreScripts, mtime }, services))
    .catch(() => {});
}

export interface BaseParts {
  archive: DebianArchive;
  shell: boolean;
  /** Debian's interpreter, when it is the image's. */
  debianPython?: { packages: string[] };
}

/** The base's packages are known before the interpreter tells which libraries it needs: they are fetched meanwhile. */
export function startBase({ archive, shell, debianPython }: BaseParts, options: DebOptions, services: PlanServices) {
  const names = [...basePackages({ shell }), ...(debianPython?.packages ?? [])].toSorted();
  ingestDebs(archive.resolve(names), options, services).catch(() => {});
}
