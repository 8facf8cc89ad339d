import { SheafError } from "../errors.ts";
import { field, parseControl } from "./control.ts";
import type { SignedBy } from "./sources.ts";
import { readKeyrings } from "./keyring.ts";

/** The signed head of a suite (Debian repository format, Release files). Plain JSON. */
export interface Release {
  /** `Debian`, `Ubuntu`, or who else made the archive. */
  origin: string;
  label: string;
  suite: string;
  /** `bookworm`, `bookworm-security` */
  codename: string;
  /** `12.15`; empty when the suite has none. */
  version: string;
  /** ISO 8601, seconds. */
  date: string;
  validUntil?: string;
  byHash: boolean;
  architectures: string[];
  /** Packages of it are taken on request only, as those of -backports. */
  notAutomatic: boolean;
  /** Path from the suite → SHA-256 and bytes. */
  files: Record<string, [sha256: string, size: number]>;
}

export interface VerifyOptions {
  /** What the file is called in errors: its address. */
  url: string;
  signedBy: SignedBy;
  now: Date;
  ignoreExpiry?: boolean;
  /** Folder under which apt's trusted keys are; `/` unless given. */
  root?: string;
}

/**
 * Checks a clear-signed InRelease file and reads what was signed, nothing around it: one good signature at least by a key of
 * the source's keyrings, a Date that is not ahead of the clock by more than a day, and Valid-Until.
 *
 * @throws SheafError SHEAF_DEB_SIGNATURE or SHEAF_DEB_EXPIRED
 */
export async function verifyInRelease(bytes: Uint8Array, options: VerifyOptions): Promise<Release> {
  const text = Buffer.from(bytes).toString("utf8");
  const { url } = options;
  if (!text.includes("-----BEGIN PGP SIGNED MESSAGE-----")) {
    throw new SheafError("SHEAF_DEB_SIGNATURE", `${url} is not signed`, {
      details: [["begins with", JSON.stringify(text.slice(0, 60))]],
      hint: "Sheaf installs from signed archives only; check the source's address, and whether a proxy answers in its place",
    });
  }
  // 400 kB that only a changed index needs.
  const openpgp = await import("openpgp");
  const { keys, names, notes } = await readKeyrings(options.signedBy, options.root ?? "/");
  const fail = (reason: string, cause?: unknown) =>
    new SheafError("SHEAF_DEB_SIGNATURE", `${url}: ${reason}`, {
      details: [["keyrings", names.join(", ") || "none"], ...notes.map((note): [string, string] => ["keyring", note])],
      hint: [
        "install the archive's keyring package (debian-archive-keyring, ubuntu-keyring) or mend Signed-By in the apt source",
        "apt-get update shows whether apt trusts the archive",
      ],
      cause,
    });
  const message = await openpgp.readCleartextMessage({ cleartextMessage: text.trimStart() }).catch((error: unknown) => {
    throw fail("its signature can't be read, the file is damaged or cut short", error);
  });
  const result = await openpgp.verify({ message, verificationKeys: keys, date: options.now });
  const outcomes = await Promise.allSettled(result.signatures.map((signature) => signature.verified));
  if (outcomes.some((outcome) => outcome.status === "fulfilled"))
    return checkDates(readRelease(String(result.data)), options);
  const failures = result.signatures.map((signature, index) => {
    const outcome = outcomes[index];
    return `${signature.keyID.toHex().toUpperCase()}: ${outcome?.status === "rejected" ? String(outcome.reason) : ""}`;
  });
  throw fail(`no good signature by a key in the keyring (${failures.join("; ") || "it has none"})`);
}

/** Parses the fields of a Release file. Paths that leave the suite's folder are left out. */
export function readRelease(text: string): Release {
  const paragraph = parseControl(text)[0] ?? new Map<string, string>();
  const get = (name: string) => field(paragraph, name) ?? "";
  const files: Release["files"] = {};
  for (const line of get("SHA256").split("\n")) {
    const match = /^\s*([0-9a-f]{64})\s+(\d+)\s+([A-Za-z0-9][^\s]*)$/.exec(line);
    if (!match?.[1] || !match[3] || match[3].split("/").includes("..")) continue;
    if (/(^|\/)(binary-[a-z0-9]+\/Packages|Contents-[a-z0-9]+)(\.gz|\.xz)?$/.test(match[3]))
      files[match[3]] = [match[1], Number(match[2])];
  }
  const validUntil = isoDate(get("Valid-Until"));
  return {
    origin: get("Origin"),
    label: get("Label"),
    suite: get("Suite"),
    codename: get("Codename"),
    version: get("Version"),
    date: isoDate(get("Date")) ?? "",
    ...(validUntil ? { validUntil } : {}),
    byHash: get("Acquire-By-Hash") === "yes",
    architectures: get("Architectures").split(/\s+/),
    notAutomatic: get("NotAutomatic") === "yes",
    files,
  };
}

/** @throws SheafError SHEAF_DEB_EXPIRED */
export function checkDates(release: Release, options: Pick<VerifyOptions, "url" | "now" | "ignoreExpiry">): Release {
  const now = options.now.getTime();
  const day = 24 * 3600 * 1000;
  const details: [string, string][] = [
    ["signed", release.date || "no date"],
    ["this machine's clock", `${options.now.toISOString().slice(0, 19)}Z`],
  ];
  if (release.date === "") throw new SheafError("SHEAF_DEB_EXPIRED", `${options.url} has no Date`, { details });
  if (options.ignoreExpiry) return release;
  if (Date.parse(release.date) > now + day) {
    throw new SheafError("SHEAF_DEB_EXPIRED", `${options.url} was signed in the future: ${release.date}`, {
      details,
      hint: "set this machine's clock",
    });
  }
  if (release.validUntil && Date.parse(release.validUntil) < now) {
    throw new SheafError("SHEAF_DEB_EXPIRED", `${options.url} was valid until ${release.validUntil} only`, {
      details,
      hint: [
        "the mirror is out of date: take another one in the apt source, or wait until it has caught up",
        "for an archive that is frozen on purpose, set Check-Valid-Until: no in its apt source",
      ],
    });
  }
  return release;
}

/** RFC 5322 date, as Release files write it → ISO 8601 in seconds. */
function isoDate(text: string): string | undefined {
  const time = Date.parse(text);
  return text === "" || Number.isNaN(time) ? undefined : `${new Date(time).toISOString().slice(0, 19)}Z`;
}
