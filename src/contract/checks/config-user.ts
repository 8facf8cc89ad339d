import type { StaticCheck } from "../check.ts";
import { fail, notApplicable, pass, undecided } from "../finding.ts";
import { accountsOf } from "../facts/accounts.ts";

/** `user:group`, each a name or a number. */
function partsOf(user: string | undefined): { user: string; group: string | undefined } {
  const [name = "", group] = (user ?? "").split(":");
  return { user: name, group };
}

export const configUser: StaticCheck = {
  id: "config.user",
  title: "the user is a number that is not root's",
  holds: "The config's User is a number other than 0, not a name; its group, where one is given, too.",
  why: "A container that runs as root is root on the host when it breaks out. With a name, kubelet can't tell that it isn't root and refuses to start it under runAsNonRoot; `USER 0` passes checks that look for the word root.",
  sources: [
    "CIS Docker Benchmark 4.1",
    "Kubernetes, Pod Security Standards: runAsNonRoot",
    "dockle: `USER 0` passes CIS-DI-0001",
  ],
  run: ({ image, contract, facts }) => {
    const { User } = image.config.config ?? {};
    const { user, group } = partsOf(User);
    if (user === "" && contract.role === "base")
      return notApplicable("a base image leaves the user to what is built on it");
    if (user === "" || user === "root" || Number(user) === 0) {
      return fail(user === "" ? "no user is set: it runs as root" : `the user is ${user}: it runs as root`, {
        hint: "add a user and end the Dockerfile with its number: USER 10001:10001",
      });
    }
    if (!/^\d+$/.test(user)) {
      const account = facts.derived(accountsOf).byName.get(user);
      if (account?.uid === 0)
        return fail(`${user} has the number 0: it runs as root`, { hint: "give the user another number" });
      const number = account === undefined ? "10001" : String(account.uid);
      return fail(`the user ${JSON.stringify(user)} is a name, not a number`, {
        evidence: [account ? `/etc/passwd says that ${user} is ${number}` : `/etc/passwd has no ${user}`],
        hint: `USER ${number}: kubelet refuses a name under runAsNonRoot`,
      });
    }
    if (Number(user) > 0xfffffffe) return undecided(`${user} is no number that a user can have`);
    if (group !== undefined && !/^\d+$/.test(group))
      return fail(`the group ${JSON.stringify(group)} is a name, not a number`, { hint: `USER ${user}:${user}` });
    if (contract.uid !== undefined && contract.uid !== Number(user))
      return fail(`the user is ${user}`, { limit: String(contract.uid), hint: `USER ${contract.uid}` });
    return pass(`user ${user}`, contract.uid === undefined ? {} : { limit: String(contract.uid) });
  },
};

export const configUserName: StaticCheck = {
  id: "config.user-name",
  title: "the user's number has a name in the image's passwd",
  holds:
    "The number of the config's User is in /etc/passwd, with a group that is not root's, under the name that the contract says.",
  why: "Without a row `whoami` fails, HOME is `/`, and libraries that ask who they are (getpass, psycopg2, ssh) raise.",
  sources: ["passwd(5)", "python getpass.getuser: OSError where there is no row"],
  run: ({ image, contract, facts }) => {
    const { user, group } = partsOf(image.config.config?.User);
    const { byName, byNumber } = facts.derived(accountsOf);
    if (user === "") return notApplicable("no user is set");
    const account = /^\d+$/.test(user) ? byNumber.get(Number(user)) : byName.get(user);
    if (!account) {
      return fail(`/etc/passwd has no user ${user}`, {
        hint: `add one: RUN useradd --uid ${/^\d+$/.test(user) ? user : "10001"} appuser`,
      });
    }
    if (contract.user !== undefined && account.name !== contract.user)
      return fail(`${user} is ${account.name}`, { limit: contract.user, hint: `name the user ${contract.user}` });
    const gid = group === undefined ? account.gid : Number(group);
    if (account.uid !== 0 && gid === 0) {
      return fail(`${account.name} is in root's group`, {
        hint: "give the user a group of its own: files of root's group are often writable to it",
      });
    }
    return pass(`${account.uid} is ${account.name}`, contract.user === undefined ? {} : { limit: contract.user });
  },
};
