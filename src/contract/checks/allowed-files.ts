import { GitIgnore } from "../../project/ignore.ts";
import type { Contract } from "../contract.ts";

/** Whether the contract's `allow-files` names a path or a folder above it. */
export function allowedFiles({ allowFiles }: Pick<Contract, "allowFiles">): (path: string) => boolean {
  if (allowFiles.length === 0) return () => false;
  const rules = new GitIgnore(allowFiles.join("\n"), "allow-files");
  return (path) => {
    for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
      if (rules.match(path.slice(0, end), true)?.ignored) return true;
    }
    return rules.match(path, false)?.ignored === true;
  };
}
