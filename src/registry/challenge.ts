/** One way to authenticate that a server offers (RFC 9110, 11.6.1). */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  scheme: string;
  parameters: Record<string, string>;
}

/** Reads a WWW-Authenticate header, which may offer several; what can't be read is left out. */
export function parseChallenges(header: string | undefined): Challenge[] {
  const challenges: Challenge[] = [];
  const pattern = /([A-Za-z][\w-]*)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s",]+))|([A-Za-z][\w-]*)/g;
  for (const [, name, quoted, bare, scheme] of (header ?? "").slice(0, 16_384).matchAll(pattern)) {
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: Object.create(null) });
    const value = quoted?.replace(/\\(.)/g, "$1") ?? bare;
    const current = challenges.at(-1);
    if (name !== undefined && value !== undefined && current) current.parameters[name.toLowerCase()] = value;
  }
  return challenges;
}
