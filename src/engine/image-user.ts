import { SheafError } from "../errors.ts";

export interface ImageUser {
  uid: number;
  gid: number;
  /** From the image's passwd, `/` when it has none for this user. */
  home: string;
}

/** Reads a text file of the image, undefined when it is not there. */
export type ReadImageFile = (path: string) => string | undefined;

/**
 * Resolves `config.User`: `user`, `uid`, `user:group`, `uid:gid` or nothing for root, by the image's own /etc/passwd and /etc/group (OCI
 * image-spec, config.md).
 * @throws SheafError SHEAF_IMAGE_USER for a name that the image does not know
 */
export function resolveImageUser(user: string | undefined, readFile: ReadImageFile): ImageUser {
  const [name = "", group] = (user ?? "").split(":");
  const account = findAccount(name === "" ? "0" : name, readFile("etc/passwd") ?? "");
  if (!account) throw unknown("user", name, "etc/passwd");
  return { ...account, gid: group ? findGroup(group, readFile("etc/group") ?? "") : account.gid };
}

function findAccount(name: string, passwd: string): ImageUser | undefined {
  const rows = passwd.split("\n").map((line) => line.split(":"));
  const row = rows.find((fields) => fields[0] === name) ?? rows.find((fields) => isId(name) && fields[2] === name);
  if (row && isId(row[2]) && isId(row[3])) return { uid: Number(row[2]), gid: Number(row[3]), home: row[5] || "/" };
  return isId(name) ? { uid: Number(name), gid: 0, home: "/" } : undefined;
}

function findGroup(name: string, groups: string): number {
  if (isId(name)) return Number(name);
  const row = groups
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[0] === name);
  if (!row || !isId(row[2])) throw unknown("group", name, "etc/group");
  return Number(row[2]);
}

/** 32-bit ids without the one that stands for "no id". */
function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 0xffffffff;
}

function unknown(kind: string, name: string, file: string): SheafError {
  return new SheafError(
    "SHEAF_IMAGE_USER",
    `the image runs as the ${kind} ${JSON.stringify(name)}, which its /${file} does not have`,
    {
      hint: "use a number, such as --user 10001:10001",
    },
  );
}
