import type { DebEffect } from "./effects.ts";
import { UnknownStatement } from "./script-error.ts";
import type { CommandCall, Outcome } from "./shell/host.ts";

const withValue = new Set(
  (
    "--home --shell --gecos --comment --ingroup --gid --uid --firstuid --lastuid --firstgid --lastgid --conf --home-dir --base-dir --groups " +
    "--expiredate --inactive -d -s -c -g -u -G -b -K -e -f -k --key -a --add"
  ).split(" "),
);

/** adduser(8), addgroup(8), useradd(8), groupadd(8), usermod(8), gpasswd(1): system users and groups, and members of groups. */
export function accountCommand({ name: path, args, line }: CommandCall, effects: DebEffect[]): Outcome {
  const command = path.slice(path.lastIndexOf("/") + 1);
  const options = new Map<string, string>();
  const names: string[] = [];
  // In usermod -aG, `a` has no value; in gpasswd it has.
  const takesValue = (key: string) =>
    withValue.has(key) && !(command === "usermod" && (key === "-a" || key === "--append"));
  for (let at = 0; at < args.length; at++) {
    const arg = args[at];
    if (arg === undefined) throw new UnknownStatement(line, `${command} with values that depend on the machine`);
    if (!arg.startsWith("-")) {
      names.push(arg);
      continue;
    }
    const [key = "", value] = arg.startsWith("--") ? arg.split(/=(.*)/s) : [arg];
    options.set(key, value ?? (takesValue(key) ? (args[++at] ?? "") : ""));
  }
  const get = (...keys: string[]) =>
    keys.map((key) => options.get(key)).find((value) => value !== undefined && value !== "");
  const [first, second] = names;
  if (first === undefined) throw new UnknownStatement(line, `${command} without a name`);
  // What would end a field or a line of /etc/passwd.
  const isPlain = (text: string) => !/[:,\s]/.test(text);
  const values = [...options].flatMap(([key, value]) =>
    key === "--gecos" || key === "--comment" || key === "-c" ? [] : [value],
  );
  if (![...names, ...values].every(isPlain))
    throw new UnknownStatement(line, `${command} with a name or a path that is none`);
  if (command === "usermod" || command === "gpasswd") {
    const group = get("-G", "--groups", "-aG") ?? (command === "gpasswd" ? first : second);
    const user = command === "gpasswd" ? get("-a", "--add") : names.at(-1);
    if (options.has("-a") && group && user) effects.push({ kind: "member", user, group });
    return { status: true, output: "" };
  }
  const id = (text: string | undefined) => (text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined);
  const isGroup =
    command === "addgroup" ||
    command === "groupadd" ||
    (command === "adduser" && options.has("--group") && !options.has("--home") && !options.has("--system"));
  if (isGroup) {
    const gid = id(get("--gid", "-g"));
    effects.push({ kind: "group", name: first, ...(gid === undefined ? {} : { gid }) });
    return { status: true, output: "" };
  }
  if (command === "adduser" && second !== undefined) {
    effects.push({ kind: "member", user: first, group: second });
    return { status: true, output: "" };
  }
  const uid = id(get("--uid", "-u"));
  const ingroup = get("--ingroup", "--gid", "-g");
  // adduser --system puts a user into nogroup unless told otherwise; useradd makes a group of its name.
  const own = command === "useradd" || options.has("--group");
  const group = ingroup !== undefined && id(ingroup) === undefined ? ingroup : own ? first : "nogroup";
  const home = get("--home", "--home-dir", "-d");
  const shell = get("--shell", "-s");
  const gecos = get("--gecos", "--comment", "-c");
  effects.push({
    kind: "user",
    name: first,
    group,
    ...(uid === undefined ? {} : { uid }),
    ...(home ? { home } : {}),
    ...(shell ? { shell } : {}),
    ...(gecos ? { gecos: gecos.replace(/[:\n]/g, " ") } : {}),
  });
  return { status: true, output: "" };
}

/** su(1), asked whether a file is a user's own: on a first installation, what was just made is root's. */
export function suCommand({ args, line }: CommandCall): Outcome {
  const command = args.includes("-c") ? args[args.indexOf("-c") + 1] : undefined;
  if (command !== undefined && /^test -[OG] [^;|]*$/.test(command.trim())) return { status: false, output: "" };
  throw new UnknownStatement(line, "su runs a command as another user");
}
