import type { ImageFacts } from "../contract/facts/image-facts.ts";
import { type Owner, ownersOf } from "../contract/facts/owners.ts";

/** Who brought a file: by the lists of distributions and packages; bytecode goes with its source, since installers list it or not. */
export function ownerOf(path: string, facts: ImageFacts): Owner | undefined {
  const owners = facts.derived(ownersOf);
  const source = sourceOf(path);
  return owners.get(path) ?? (source === undefined ? undefined : owners.get(source));
}

function sourceOf(path: string): string | undefined {
  const [, folder, module] = /^(.*)__pycache__\/([^/]+)\.cpython-\d+(?:\.opt-[12])?\.pyc$/.exec(path) ?? [];
  return module && `${folder}${module}.py`;
}
