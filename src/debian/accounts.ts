import type { DebEffect } from "./effects.ts";

export interface ImageUser {
  name: string;
  uid: number;
  gid: number;
}

export interface Accounts {
  passwd: string;
  group: string;
  shadow: string;
  /** Ids by name, for owners that maintainer scripts name. */
  uids: ReadonlyMap<string, number>;
  gids: ReadonlyMap<string, number>;
}

interface Account {
  name: string;
  uid: number;
  gid: number;
  gecos: string;
  home: string;
  shell: string;
}

/** Used when base-passwd is not among the packages. */
const fewest = {
  passwd: "root:*:0:0:root:/root:/bin/sh\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
  group: "root:*:0:\ntty:*:5:\nshadow:*:42:\nstaff:*:50:\nnogroup:*:65534:\n",
};

/**
 * The tables of users and groups: those that the distribution begins with, system users and groups that packages ask for, with
 * ids from 100 on in the packages' order (Debian policy 9.2.2), and the image's own user. A package's user of that name is
 * this one, with the image's ids: what the package's scripts give to it is the image's. Passwords are locked.
 */
export function makeAccounts(effects: DebEffect[], user: ImageUser, shells: { root: string; user: string }): Accounts {
  const tables = effects.find((effect) => effect.kind === "accounts") ?? fewest;
  const users = new Map(rows(tables.passwd).map((row) => [row[0] ?? "", readAccount(row)]));
  const groups = new Map(
    rows(tables.group).map(([name = "", , gid]) => [name, { gid: Number(gid), members: new Set<string>() }]),
  );
  const addGroup = (name: string, wanted?: number) => {
    const gid = wanted ?? freeId([...groups.values()].map((group) => group.gid));
    if (!groups.has(name)) groups.set(name, { gid, members: new Set() });
  };
  const isMade = effects.some((effect) => effect.kind === "user" && effect.name === user.name);
  if (isMade && user.uid !== 0) addGroup(user.name, user.gid);
  for (const effect of effects) if (effect.kind === "group") addGroup(effect.name, effect.gid);
  for (const effect of effects) {
    if (effect.kind === "user" && !users.has(effect.name)) {
      const group = effect.group ?? effect.name;
      addGroup(group);
      const uid = effect.uid ?? freeId([...users.values()].map((account) => account.uid));
      const { name, home = "/nonexistent", shell = "/usr/sbin/nologin", gecos = "" } = effect;
      users.set(name, { name, uid, gid: groups.get(group)?.gid ?? 65534, gecos, home, shell });
    }
    if (effect.kind === "member") groups.get(effect.group)?.members.add(effect.user);
  }
  const root = users.get("root");
  if (root) root.shell = shells.root;
  const taken = [...groups].find(([, group]) => group.gid === user.gid)?.[0];
  if (taken === undefined)
    groups.set(groups.has(user.name) ? `${user.name}-image` : user.name, { gid: user.gid, members: new Set() });
  if (user.uid !== 0) {
    const home = `/home/${user.name}`;
    users.set(user.name, { ...user, gecos: "", home, shell: shells.user });
  }
  return {
    passwd: [...users.values()].map(formatAccount).join(""),
    group: [...groups].map(([name, { gid, members }]) => `${name}:x:${gid}:${[...members].join(",")}\n`).join(""),
    // No date of the last change: nothing ages, and nothing depends on the day of the build.
    shadow: [...users.keys()].map((name) => `${name}:*::0:99999:7:::\n`).join(""),
    uids: new Map([...users].map(([name, account]) => [name, account.uid])),
    gids: new Map([...groups].map(([name, group]) => [name, group.gid])),
  };
}

function rows(table: string): string[][] {
  return table
    .split("\n")
    .filter((line) => /^[a-z_][a-z0-9_-]*:/.test(line))
    .map((line) => line.split(":"));
}

function readAccount([name = "", , uid, gid, gecos = "", home = "/", shell = "/usr/sbin/nologin"]: string[]): Account {
  return { name, uid: Number(uid), gid: Number(gid), gecos, home, shell };
}

function formatAccount({ name, uid, gid, gecos, home, shell }: Account): string {
  return `${name}:x:${uid}:${gid}:${gecos}:${home}:${shell}\n`;
}

function freeId(taken: number[]): number {
  const used = new Set(taken);
  for (let id = 101; id < 1000; id++) if (!used.has(id)) return id;
  throw new Error("no system id is free");
}
