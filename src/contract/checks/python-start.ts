import { importClosure, type MissingImport } from "../../project/import-closure.ts";
import { standardLibrary } from "../../project/python/standard-library.ts";
import type { StaticCheck, StaticContext } from "../check.ts";
import { textOf } from "../facts/image-facts.ts";
import { hasModule, importPathOf, startModuleOf } from "../facts/start-module.ts";
import { fail, notApplicable, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";

/** The module that starts, and the folder of sys.path that has it. */
function findStart({
  image,
  facts,
}: StaticContext): { modules: string[]; found?: { module: string; folder: string } } | undefined {
  const config = image.config.config ?? {};
  const start = startModuleOf(config);
  if (!start) return undefined;
  const { own, sites } = importPathOf(facts, config);
  for (const module of start.modules) {
    const folder = [...own, ...sites].find((each) => hasModule(facts, each, module));
    if (folder !== undefined) return { modules: start.modules, found: { module, folder } };
  }
  return { modules: start.modules };
}

export const pythonStart: StaticCheck = {
  id: "python.start",
  title: "the module that starts is there",
  holds:
    "The module that the command names (`uvicorn app.main:app`, `celery -A app.worker`) is found through the working directory, PYTHONPATH and the site-packages of the interpreter that runs it.",
  why: "An image whose app lies elsewhere than its command looks is built without a word and ends at once. Editable installs point at the builder's path.",
  sources: ["Python reference: the import system", "pip: editable installs"],
  run: (context) => {
    const start = findStart(context);
    if (!start) return notApplicable("the command names no Python module");
    const { own, sites } = importPathOf(context.facts, context.image.config.config ?? {});
    const { modules, found } = start;
    if (found) return pass(`${found.module} in /${found.folder}`);
    return fail(`${modules[0]} is not in the image`, {
      evidence: [`looked in ${[...own, ...sites].map((folder) => `/${folder}`).join(", ")}`],
      hint: "copy the package below the WORKDIR, or install it with pip install . instead of -e",
    });
  },
};

export const pythonImports: StaticCheck = {
  id: "python.imports",
  title: "everything that the start imports is there",
  holds:
    "From the start module through the app's own modules: every module that is imported as they load, and not in a function, a condition or a try, is the app's, the standard library's or installed.",
  why: "One missing module ends the server as it starts, in production and not before: the tests ran where everything was installed.",
  sources: ["Python reference: the import statement"],
  run: (context) => {
    const found = findStart(context)?.found;
    if (!found) return notApplicable("the module that starts is not known");
    const { facts, image } = context;
    const { environment, own, sites } = importPathOf(facts, image.config.config ?? {});
    const roots = [...new Set([...own, found.folder])];
    const files = new Map(
      [...facts.files.values()].flatMap((file): [string, string][] => {
        const text = file.path.endsWith(".py") ? textOf(file) : undefined;
        return text === undefined ? [] : [[file.path, text]];
      }),
    );
    const elsewhere = [...new Set([...sites, ...own])];
    const standard = standardLibrary(environment?.minor ?? "");
    const { missing, reached } = importClosure({
      start: [found.module],
      files,
      importRoots: roots,
      ...(environment ? { python: environment.minor } : {}),
      provided: (module) => {
        const top = module.split(".")[0] ?? module;
        return standard.has(top) || elsewhere.some((folder) => hasModule(facts, folder, top));
      },
    });
    const errors = missing.filter(({ severity }) => severity === "error");
    const [first] = errors;
    if (!first) return pass(`${reached.length} own modules, all imports found`);
    return fail(`${first.module} can't be imported`, {
      evidence: firstOf(errors.map(chainText)),
      hint: "install what brings it into this image, or import it inside the function that uses it",
    });
  },
};

function chainText({ module, chain }: MissingImport): string {
  return `${module}: ${chain.map(({ file, line }) => `/${file}:${line}`).join(" → ")}`;
}
