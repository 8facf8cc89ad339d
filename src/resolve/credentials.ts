/** URLs are kept without credentials; they come back when a URL is used. */

/** The URL without user and password, and the two as one userinfo text. */
export function splitCredentials(url: string): { url: string; userinfo: string } {
  if (!/^https?:\/\//i.test(url) || !url.includes("@")) return { url, userinfo: "" };
  try {
    const parsed = new URL(url);
    const userinfo = parsed.username || parsed.password ? `${parsed.username}:${parsed.password}` : "";
    parsed.username = "";
    parsed.password = "";
    return { url: parsed.href, userinfo };
  } catch {
    return { url: url.replace(/\/\/[^/]*@/, "//"), userinfo: "" };
  }
}

/** Credentials by origin (scheme, host and port), from index URLs that carry them. */
export function credentialsByOrigin(urls: string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const url of urls) {
    const { url: bare, userinfo } = splitCredentials(url);
    if (userinfo) found.set(new URL(bare).origin, userinfo);
  }
  return found;
}

/** Puts credentials into a URL of an origin that has them, as pip does for files beside an index. */
export function withCredentials(url: string, credentials: Map<string, string>): string {
  if (credentials.size === 0 || !/^https?:/i.test(url)) return url;
  const parsed = new URL(url);
  const [username, password] = credentials.get(parsed.origin)?.split(":", 2) ?? [];
  if (username === undefined || parsed.username) return url;
  parsed.username = username;
  parsed.password = password ?? "";
  return parsed.href;
}
