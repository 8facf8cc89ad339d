import type { Entry } from "../filesystem/entry.ts";
import type { DebEffect } from "./effects.ts";

/** Ids that Debian gives for good (policy 9.2.2, base-passwd). */
const users: Record<string, number | undefined> = {
  root: 0,
  daemon: 1,
  bin: 2,
  games: 5,
  man: 6,
  mail: 8,
  "www-data": 33,
  nobody: 65534,
};
const groups: Record<string, number | undefined> = {
  ...{
    root: 0,
    daemon: 1,
    bin: 2,
    adm: 4,
    tty: 5,
    disk: 6,
    mail: 8,
    man: 12,
    "www-data": 33,
    shadow: 42,
    utmp: 43,
    staff: 50,
  },
  ...{ games: 60, users: 100, nogroup: 65534 },
};

/**
 * Sets modes and owners that maintainer scripts give to files of their package. An owner whose id is made on installation, that
 * of a service, stays root, and its file loses setuid and setgid: nothing may run as somebody else by accident. What the
 * owner or the group may read, everybody may then: it is the same for whoever has the package.
 */
export function applyAttributes(entries: Entry[], effects: DebEffect[]): Entry[] {
  const wanted = new Map<string, { mode?: number; owner?: string; group?: string }>();
  for (const effect of effects) {
    if (effect.kind === "attributes") wanted.set(effect.path, { ...wanted.get(effect.path), ...effect });
  }
  return entries.map((entry) => {
    const attributes = wanted.get(entry.path);
    if (!attributes || entry.type !== "file") return entry;
    const uid = attributes.owner === undefined ? entry.uid : users[attributes.owner];
    const gid = attributes.group === undefined ? entry.gid : groups[attributes.group];
    const mode = attributes.mode ?? entry.mode;
    const isKnown = uid !== undefined && gid !== undefined;
    return { ...entry, uid: uid ?? 0, gid: gid ?? 0, mode: isKnown ? mode : readableByAll(mode & 0o777) };
  });
}

/** With the owner's and the group's rights to read and execute for others too. */
function readableByAll(mode: number): number {
  return mode | ((mode >> 3) & 0o5) | ((mode >> 6) & 0o5);
}
