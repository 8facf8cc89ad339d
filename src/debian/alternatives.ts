import type { SymlinkEntry } from "../filesystem/entry.ts";
import type { DebEffect } from "./effects.ts";
import { imagePath } from "./script-arguments.ts";

type Alternative = Extract<DebEffect, { kind: "alternative" }>;

/**
 * The links that update-alternatives(1) would make in automatic mode: for each name the choice with the highest priority (of
 * equal ones the first), `LINK → /etc/alternatives/NAME → PATH`, and its slaves. A choice whose file is not in the image, a
 * manual that was left out for one, has no link.
 */
export function alternativeLinks(effects: DebEffect[], taken: ReadonlySet<string>): SymlinkEntry[] {
  const best = new Map<string, Alternative>();
  for (const effect of effects) {
    if (effect.kind !== "alternative" || !taken.has(imagePath(effect.path))) continue;
    const known = best.get(effect.name);
    if (!known || effect.priority > known.priority) best.set(effect.name, effect);
  }
  const links = new Map<string, string>();
  for (const { name, link, path, slaves } of best.values()) {
    for (const choice of [{ name, link, path }, ...slaves]) {
      // What update-alternatives refuses too: a real file in the link's place.
      if (!taken.has(imagePath(choice.path)) || taken.has(imagePath(choice.link))) continue;
      links.set(imagePath(choice.link), `/etc/alternatives/${choice.name}`);
      links.set(`etc/alternatives/${choice.name}`, choice.path);
    }
  }
  return [...links].map(([path, target]) => ({ type: "symlink", path, target, mode: 0o777, uid: 0, gid: 0 }));
}
