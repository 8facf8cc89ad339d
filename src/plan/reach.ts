import { setImmediate } from "node:timers/promises";

import { reachModules } from "../bytecode/reach.ts";
import { alwaysReached } from "../bytecode/stdlib.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import { BytecodeSession, type OwnerBytecode } from "../ingest/bytecode.ts";
import { ImportNames, type ImportPlaces } from "../ingest/imports.ts";
import {
  baseLibraryOwner,
  type FoundModule,
  indexModules,
  type ModuleOwner,
  standardLibraryOwner,
  wheelOwner,
} from "../ingest/python-modules.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import type { Platform } from "../platform.ts";
import type { InstalledPython } from "./gather.ts";
import type { PlanServices } from "./services.ts";

export interface ReachRequest {
  installed: InstalledPython;
  choice: InterpreterChoice;
  platform: Platform;
  /** Dotted names that the project's code and its start command name. */
  start: string[];
  /** The image below, when its own interpreter is used. */
  base?: BaseImage;
  /** Whose imports are followed in distributions: the project's own are followed everywhere. */
  places: ImportPlaces;
  /** Interpreter of this machine with the image's minor. */
  python: string;
  mtime: number;
  /** Hears of each module that is reached, with the names that it imports. */
  onReached?: (found: FoundModule, imports: readonly string[]) => void;
}

/**
 * Compiles the modules that the start may reach, over all imports of all distributions and the standard library.
 * @returns bytecode by the owner's name
 */
export async function compileReached(
  request: ReachRequest,
  services: PlanServices,
): Promise<Map<string, OwnerBytecode>> {
  const { installed, choice } = request;
  const owners: ModuleOwner[] = [];
  if (installed.interpreter && choice.prefix !== undefined) {
    owners.push(standardLibraryOwner(installed.interpreter, choice.prefix, services.store));
  }
  if (request.base) owners.push(baseLibraryOwner(request.base, installed.layout, services.store));
  for (const wheel of installed.wheels) owners.push(wheelOwner(wheel, installed.layout, services.store));
  const { cacheTag } = installed.layout;
  const session = new BytecodeSession(
    { python: request.python, minor: choice.minor, cacheTag, mtime: request.mtime },
    services,
  );
  try {
    const names = new ImportNames(services.store, request.places);
    const start = [...alwaysReached(request.platform), ...request.start];
    let turn = performance.now();
    for (const { found, module } of reached(indexModules(owners), start, names)) {
      const { owner, path } = found;
      request.onReached?.(found, names.of(found, module));
      if (!owner.compiled?.has(path)) session.add(owner, path);
      if (performance.now() - turn < 10) continue;
      // Meanwhile sources flow to the compilers, and downloads come in.
      await setImmediate();
      turn = performance.now();
    }
    names.save();
    const compiled = await session.finish();
    return new Map([...compiled].map(([owner, bytecode]) => [owner.name, bytecode]));
  } finally {
    session.close();
  }
}

function* reached(modules: Map<string, FoundModule>, start: string[], names: ImportNames): Generator<NamedModule> {
  const byPath = new Map<string, NamedModule>();
  for (const [module, found] of modules) byPath.set(found.path, { found, module });
  const paths = reachModules({
    start,
    find: (module) => modules.get(module),
    imports: (path) => {
      const known = byPath.get(path);
      return { modules: known ? names.of(known.found, known.module) : [] };
    },
  });
  for (const path of paths) {
    const known = byPath.get(path);
    if (known) yield known;
  }
}

interface NamedModule {
  found: FoundModule;
  /** Dotted. */
  module: string;
}
