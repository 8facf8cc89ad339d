import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";

/**
 * Follows a path inside a root file system: symbolic links lead to where they would in the container, never out of `root`. Returns an
 * absolute path of the image; what does not exist stays as it is.
 * @throws SheafError SHEAF_IMAGE_PATH for links in a circle
 */
export function resolveInImage(root: string, name: string): string {
  const pending = name.split("/").toReversed();
  let resolved: string[] = [];
  for (let links = 0; pending.length > 0;) {
    const segment = pending.pop() ?? "";
    if (segment === "" || segment === ".") continue;
    if (segment === "..") {
      resolved.pop();
      continue;
    }
    const target = readLink(path.join(root, ...resolved, segment));
    if (target === undefined) {
      resolved.push(segment);
      continue;
    }
    links += 1;
    if (links > 40)
      throw new SheafError("SHEAF_IMAGE_PATH", `${name} in the image is a symbolic link that leads to itself`);
    if (target.startsWith("/")) resolved = [];
    pending.push(...target.split("/").toReversed());
  }
  return `/${resolved.join("/")}`;
}

/** A text file of the image, undefined when it isn't there or can't be read. */
export function readImageFile(root: string, name: string): string | undefined {
  try {
    return fs.readFileSync(path.join(root, resolveInImage(root, name)), "utf8");
  } catch {
    return undefined;
  }
}

function readLink(file: string): string | undefined {
  try {
    return fs.readlinkSync(file);
  } catch {
    return undefined;
  }
}
