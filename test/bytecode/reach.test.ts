import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { array, assert, constantFrom, dictionary, property } from "fast-check";
import { describe, expect, it } from "vitest";

import { reachModules } from "../../src/bytecode/reach.ts";
import { alwaysReached } from "../../src/bytecode/stdlib.ts";
import { importedNames } from "../../src/ingest/imports.ts";
import { hostPlatform } from "../../src/platform.ts";
import { hostPythons } from "./pythons.ts";

/** Reaches in a tree of modules, given as name → names that it imports; packages end in `.*`. */
function reach(tree: Record<string, string[]>, start: string[]): string[] {
  const modules = new Map(
    Object.entries(tree).map(([key, imports]) => {
      const isPackage = key.endsWith(".*");
      const name = key.replace(/\.\*$/, "");
      return [name, { path: `${name.replaceAll(".", "/")}${isPackage ? "/__init__" : ""}.py`, isPackage, imports }];
    }),
  );
  const byPath = new Map([...modules.values()].map((module) => [module.path, module.imports]));
  const reached = reachModules({
    start,
    find: (name) => modules.get(name),
    imports: (file) => ({ modules: byPath.get(file) ?? [] }),
  });
  return [...reached].toSorted();
}

describe("reachModules", () => {
  it("follows imports, brings the packages above, and leaves the rest", () => {
    const tree = {
      "app.*": [],
      "app.main": ["lib.web.server"],
      "app.unused": [],
      "lib.*": ["lib.version"],
      "lib.version": [],
      "lib.web.*": [],
      "lib.web.server": [],
      "lib.web.client": [],
    };
    expect(reach(tree, ["app.main"])).toEqual([
      "app/__init__.py",
      "app/main.py",
      "lib/__init__.py",
      "lib/version.py",
      "lib/web/__init__.py",
      "lib/web/server.py",
    ]);
  });

  it("bears circles, names that are no modules, and namespace packages", () => {
    const tree = { a: ["b", "a.attribute", "space.inner", "missing"], b: ["a"], "space.inner": ["a"] };
    expect(reach(tree, ["a", "nothing"])).toEqual(["a.py", "b.py", "space/inner.py"]);
  });

  it("is the least set that holds the start and is closed", () => {
    const name = constantFrom("a", "b", "c", "d", "e", "f", "g");
    const edges = dictionary(name, array(name, { maxLength: 3 }), { noNullPrototype: true });
    assert(
      property(edges, name, (tree, start) => {
        const reached = new Set(reach(tree, [start]));
        const expected = new Set<string>();
        const visit = (module: string) => {
          if (!tree[module] || expected.has(`${module}.py`)) return;
          expected.add(`${module}.py`);
          tree[module].forEach(visit);
        };
        visit(start);
        expect(reached).toEqual(expected);
      }),
    );
  });
});

const platform = hostPlatform();

describe.each(hostPythons())("what Python $version loads by itself", (python) => {
  const root = path.join(python.prefix, "lib", `python${python.minor}`);
  const fileOf = (module: string) => {
    const base = path.join(root, ...module.split("."));
    if (fs.existsSync(`${base}.py`)) return { path: `${base}.py`, isPackage: false };
    const init = path.join(base, "__init__.py");
    return fs.existsSync(init) ? { path: init, isPackage: true } : undefined;
  };

  it("is reached without an application", () => {
    const program = `
import sys, json, time, socket, sysconfig
time.strptime("2026", "%Y"); sysconfig.get_config_vars(); "ä.example".encode("idna")
print(json.dumps(sorted({m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", "").endswith(".py")})))`;
    const output = execFileSync(python.executable, ["-I", "-c", program], { encoding: "utf8", env: {} });
    const loaded: string[] = JSON.parse(output);
    const nameOf = new Map<string, { module: string; isPackage: boolean }>();
    const found = reachModules({
      start: [...alwaysReached(platform!), "socket", "sysconfig", "json"],
      find: (module) => {
        const found = fileOf(module);
        if (found) nameOf.set(found.path, { module, isPackage: found.isPackage });
        return found;
      },
      imports: (file) => {
        const { module, isPackage } = nameOf.get(file)!;
        return { modules: importedNames(fs.readFileSync(file, "utf8"), { module, isPackage, places: "all" }) };
      },
    });
    const reached = [...found];
    // What .pth files in site-packages load is the packages' affair.
    const ownFiles = loaded.filter((file) => file.startsWith(root) && !file.includes("site-packages"));
    expect(ownFiles.length).toBeGreaterThan(20);
    expect(ownFiles.filter((file) => !reached.includes(file))).toEqual([]);
  });
});
