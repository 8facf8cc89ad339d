import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

export interface NetrcEntry {
  /** Undefined for the `default` entry. */
  machine: string | undefined;
  login: string;
  password: string;
}

/** Parses the format of curl's and Python's netrc: tokens, quotes, comments; `macdef` blocks are passed over. */
export function parseNetrc(text: string): NetrcEntry[] {
  const entries: NetrcEntry[] = [];
  let current: NetrcEntry | undefined;
  const tokens = tokenise(text);
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index];
    if (token === "machine") entries.push((current = { machine: tokens[++index], login: "", password: "" }));
    else if (token === "default") entries.push((current = { machine: undefined, login: "", password: "" }));
    else if (token === "login" && current) current.login = tokens[++index] ?? "";
    else if (token === "password" && current) current.password = tokens[++index] ?? "";
    else if (token === "account") index += 1;
  }
  return entries;
}

/** `user:password` for a host from NETRC or ~/.netrc, undefined when there is none. */
export function netrcCredentials(host: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const file = environment["NETRC"] || path.join(environment["HOME"] || os.homedir(), ".netrc");
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const entries = parseNetrc(text);
  const entry = entries.find((each) => each.machine === host) ?? entries.find((each) => each.machine === undefined);
  return entry && `${entry.login}:${entry.password}`;
}

function tokenise(text: string): string[] {
  const withoutMacros = text.replace(/^macdef[^\n]*\n(?:[^\n]+\n)*/gm, "");
  const tokens: string[] = [];
  for (const match of withoutMacros.matchAll(/#[^\n]*|"((?:\\.|[^"\\])*)"|([^\s"]+)/g)) {
    if (match[1] !== undefined) tokens.push(match[1].replace(/\\(.)/g, "$1"));
    else if (match[2] !== undefined) tokens.push(match[2]);
  }
  return tokens;
}
