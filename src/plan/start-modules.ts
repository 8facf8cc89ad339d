import type { ImageIntent } from "./choose-images.ts";
import type { CommandFacts } from "./command.ts";
import type { OwnCode } from "./own-code.ts";

interface StartQuestion {
  facts: CommandFacts;
  intent: ImageIntent;
  code: OwnCode;
  importRoots: string[];
}

/** Modules that the command imports first: the app of a server, what `-A` names for Celery. */
export function startModules({ facts, intent, code, importRoots }: StartQuestion): string[] {
  // A command of Celery's without -A imports nothing of the project.
  if (facts.modules.length === 0) return intent.app && facts.program !== "celery" ? [intent.app.module] : [];
  if (facts.program !== "celery") return facts.modules;
  const isOwn = (module: string) =>
    importRoots.some((root) => {
      const file = `${root === "" ? "" : `${root}/`}${module.replaceAll(".", "/")}`;
      return code.sources.has(`${file}.py`) || code.sources.has(`${file}/__init__.py`);
    });
  // `-A worker.celery` may be a module or an object in one, `-A project` also means project.celery.
  return facts.modules.flatMap((module) => {
    const parent = module.slice(0, module.lastIndexOf("."));
    if (!isOwn(module) && parent !== "" && isOwn(parent)) return [parent];
    return isOwn(`${module}.celery`) ? [module, `${module}.celery`] : [module];
  });
}
