import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodePython } from "../../../src/project/python/decode.ts";
import { scanPython } from "../../../src/project/python/facts.ts";

/** Prints one JSON line a file of the standard library: its imports as Python's own parser sees them. */
const ORACLE = `
import ast, json, os, sys, sysconfig, warnings
warnings.simplefilter("ignore")
root = sysconfig.get_path("stdlib")
every = int(sys.argv[1])
count = 0
for folder, folders, files in os.walk(root):
    folders[:] = sorted(f for f in folders if f not in ("site-packages", "__pycache__"))
    for name in sorted(files):
        if not name.endswith(".py"):
            continue
        path = os.path.join(folder, name)
        count += 1
        if count % every:
            continue
        try:
            tree = ast.parse(open(path, "rb").read())
        except (SyntaxError, ValueError):
            continue
        found = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found += [[a.name, [], node.lineno] for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                found.append(["." * node.level + (node.module or ""), [a.name for a in node.names], node.lineno])
        defs = [[n.name, n.lineno] for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
        print(json.dumps([path, found, defs]))
`;

interface Expected {
  path: string;
  imports: [string, string[], number][];
  definitions: [string, number][];
}

function askPython(python: string, every: number): Expected[] {
  const output = execFileSync(python, ["-c", ORACLE, String(every)], {
    maxBuffer: 1 << 28,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as [string, Expected["imports"], Expected["definitions"]])
    .map(([path, imports, definitions]) => ({ path, imports, definitions }));
}

function runs(python: string): boolean {
  try {
    execFileSync(python, ["-c", "pass"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("the lexer and Python's own ast agree on the whole standard library", () => {
  // The first is read whole; of the others, which mostly repeat it, every fifth file.
  for (const [index, python] of ["python3", "python3.10", "python3.12", "python3.13", "python3.14"].entries()) {
    it.skipIf(!runs(python))(`${python} (skipped when it is not installed)`, { timeout: 240_000 }, () => {
      const files = askPython(python, index === 0 ? 1 : 5).filter(({ path }) => existsSync(path));
      expect(files.length).toBeGreaterThan(100);
      expect(files.flatMap(disagreements)).toEqual([]);
    });
  }
});

/** One line a fact that one side sees alone. */
function disagreements({ path, imports, definitions }: Expected): string[] {
  const facts = scanPython(decodePython(readFileSync(path)));
  const found = [
    ...facts.imports.filter((fact) => !fact.dynamic).map(({ module, names, line }) => [module, names, line]),
    ...[...facts.functions, ...facts.classes].map(({ name, line }) => [name, line]),
  ];
  const [ours, theirs] = [counted(found), counted([...imports, ...definitions])];
  return [...new Set([...ours.keys(), ...theirs.keys()])]
    .filter((fact) => ours.get(fact) !== theirs.get(fact))
    .map((fact) => `${path}: ${fact} ${ours.get(fact) ?? 0} times here, ${theirs.get(fact) ?? 0} in Python`);
}

function counted(rows: unknown[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(JSON.stringify(row), (counts.get(JSON.stringify(row)) ?? 0) + 1);
  return counts;
}
