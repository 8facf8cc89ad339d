import { SheafError } from "../errors.ts";
import { didYouMean } from "../did-you-mean.ts";
import { importRootOf } from "./import-root.ts";
import type { AppObject } from "./project.ts";
import { scanPython } from "./python/facts.ts";
import type { Repository } from "./repository.ts";
import { byCodeUnit } from "../order.ts";

/**
 * The apps with the one that the user named in front.
 *
 * @param text `module:attribute` or `module:factory()`
 * @throws SheafError SHEAF_APP when it is written otherwise or no file holds the module
 */
export function chosenApp(
  text: string,
  apps: readonly AppObject[],
  { repository, python }: { repository: Repository; python: readonly string[] },
): AppObject[] {
  const match = /^([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)(\(\))?$/.exec(text);
  if (!match) {
    throw new SheafError("SHEAF_APP", `${JSON.stringify(text)} does not name an app`, {
      hint: `write module:attribute, for example app.main:app, or app.main:create_app() for a function that returns it`,
    });
  }
  const [, module = "", attribute = "", call] = match;
  const known = apps.find((app) => app.module === module && app.attribute === attribute);
  if (known) return [{ ...known, score: 1000, reasons: ["named by --app"] }, ...apps.filter((app) => app !== known)];
  const path = module.replaceAll(".", "/");
  const file = python
    .filter((one) => [`${path}.py`, `${path}/__init__.py`].some((end) => one === end || one.endsWith(`/${end}`)))
    .toSorted((a, b) => a.length - b.length || byCodeUnit(a, b))[0];
  if (file === undefined) throw noModule(module, apps, python);
  const facts = scanPython(repository.text(file) ?? "");
  const binding = [...facts.assignments, ...facts.functions, ...facts.classes].find(
    (fact) => fact.name === attribute && fact.scope === "",
  );
  const importRoot = importRootOf({
    file,
    facts,
    hasFile: (one) => repository.has(one),
    hasFolder: (one) => repository.folders.has(one),
    targets: [{ kind: "fastapi", module, source: "--app" }],
  });
  const kind = /celery/i.test(`${module}:${attribute}`) ? "celery" : "fastapi";
  const named: AppObject = {
    kind,
    module,
    attribute,
    factory: call !== undefined,
    file,
    line: binding?.line ?? 1,
    importRoot,
    score: 1000,
    reasons: ["named by --app"],
  };
  return [named, ...apps];
}

function noModule(module: string, apps: readonly AppObject[], python: readonly string[]): SheafError {
  const modules = python.map((path) => path.replace(/(?:\/__init__)?\.py$/, "").replaceAll("/", "."));
  const near = didYouMean(module, [...apps.map((app) => app.module), ...modules]);
  const found = apps.map((app) => `${app.module}:${app.attribute}`);
  return new SheafError("SHEAF_APP", `no file of this project holds the module ${module}`, {
    details: found.length > 0 ? [["found", found.join(", ")]] : [],
    hint:
      near === undefined
        ? `give the module as Python imports it, for example app.main for app/main.py`
        : `did you mean ${near}?`,
  });
}
