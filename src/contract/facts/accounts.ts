import type { ImageFacts } from "./image-facts.ts";

export interface Account {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** The rows of /etc/passwd; of twins the first counts, as for getpwnam(3). */
export function accountsOf(facts: ImageFacts): { byName: Map<string, Account>; byNumber: Map<number, Account> } {
  const byName = new Map<string, Account>();
  const byNumber = new Map<number, Account>();
  for (const line of (facts.text("etc/passwd") ?? "").split("\n")) {
    const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
    if (name === "" || !/^\d{1,10}$/.test(uid) || !/^\d{1,10}$/.test(gid)) continue;
    const account = { name, uid: Number(uid), gid: Number(gid), home };
    if (!byName.has(name)) byName.set(name, account);
    if (!byNumber.has(account.uid)) byNumber.set(account.uid, account);
  }
  return { byName, byNumber };
}
