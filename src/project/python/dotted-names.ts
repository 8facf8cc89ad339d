import { DOT } from "./characters.ts";
import { scanPython } from "./facts.ts";
import { PythonLexer } from "./lex.ts";
import { token } from "./token.ts";

/** A name that code uses, with the place where it does. */
export interface DottedName {
  /** Absolute, through the module's imports: `torch.fft.rfft`; of a method `.backward`. */
  name: string;
  line: number;
  /** Stands in an import statement. */
  imported?: true;
}

/**
 * Names below some top-level modules that a module imports or uses: of `import torch.fft as f` and `f.rfft(x)` both
 * `torch.fft` and `torch.fft.rfft`. What is called on anything else comes as `.name`. Only type checkers' imports are left out.
 */
export function dottedNames(source: string, tops: ReadonlySet<string>): DottedName[] {
  const { imports, aliases } = scanPython(source);
  const found: DottedName[] = [];
  const isWanted = (name: string) => tops.has(name.split(".", 1)[0] ?? "");
  for (const { module, names, line, where } of imports) {
    if (where === "type-checking" || !isWanted(module)) continue;
    found.push({ name: module, line, imported: true });
    for (const name of names) if (name !== "*") found.push({ name: `${module}.${name}`, line, imported: true });
  }
  if (found.length === 0) return [];
  const lines = new PythonLexer(source);
  while (lines.next()) {
    const first = lines.kinds[0] === token.name ? lines.text(0) : "";
    if (first === "import" || first === "from") continue;
    for (let index = 0; index < lines.count; index++) {
      if (lines.kinds[index] !== token.name) continue;
      const isMember = index > 0 && lines.kinds[index - 1] === DOT;
      const line = lines.lines[index] as number;
      if (isMember) {
        found.push({ name: `.${lines.text(index)}`, line });
        continue;
      }
      const target = aliases.get(lines.text(index));
      if (target === undefined || !isWanted(target)) continue;
      let name = target;
      while (index + 2 < lines.count && lines.kinds[index + 1] === DOT && lines.kinds[index + 2] === token.name) {
        name += `.${lines.text(index + 2)}`;
        index += 2;
      }
      found.push({ name, line });
    }
  }
  return found;
}
