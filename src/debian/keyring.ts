import * as fs from "node:fs";
import * as path from "node:path";

import type { PublicKey } from "openpgp";

import { sha256 } from "../store/store.ts";
import type { SignedBy } from "./sources.ts";

export interface Keyrings {
  keys: PublicKey[];
  /** Where they are from, for errors. */
  names: string[];
  /** Files that could not be read, with the reason. */
  notes: string[];
}

/**
 * Reads the keys that a source is signed with: the files, fingerprints or inline keys of its Signed-By; apt's trusted keys
 * when it has none. Keyrings may be binary or armored (RFC 9580).
 */
export async function readKeyrings(signedBy: SignedBy, root: string): Promise<Keyrings> {
  const named = signedBy.keyrings.length > 0 || signedBy.inline.length > 0;
  const files = named ? signedBy.keyrings.map((file) => path.join(root, file)) : trustedFiles(root);
  const found: Keyrings = { keys: [], names: [], notes: [] };
  for (const file of files) {
    try {
      found.keys.push(...(await parseKeys(fs.readFileSync(file))));
      found.names.push(file);
    } catch (error) {
      found.notes.push(`${file}: ${(error as Error).message}`);
    }
  }
  for (const text of signedBy.inline) {
    found.keys.push(...(await parseKeys(Buffer.from(text))));
    found.names.push("the key in the apt source itself");
  }
  if (signedBy.fingerprints.length === 0) return found;
  return { ...found, keys: found.keys.filter((key) => hasFingerprint(key, signedBy.fingerprints)) };
}

/** Changes when a keyring does, so that what was verified with another one is verified again. */
export function keyringDigest(signedBy: SignedBy, root: string): string {
  const named = signedBy.keyrings.length > 0 || signedBy.inline.length > 0;
  const files = named ? signedBy.keyrings.map((file) => path.join(root, file)) : trustedFiles(root);
  const stamps = files.map((file) => {
    const facts = fs.statSync(file, { throwIfNoEntry: false });
    return `${file} ${facts?.size} ${facts?.mtimeMs}`;
  });
  return sha256(JSON.stringify([stamps, signedBy.fingerprints, signedBy.inline]));
}

async function parseKeys(bytes: Uint8Array): Promise<PublicKey[]> {
  const { readKeys } = await import("openpgp");
  const text = Buffer.from(bytes).toString("latin1");
  if (!text.includes("-----BEGIN PGP PUBLIC KEY BLOCK-----")) {
    return readKeys({ binaryKeys: bytes, config: { ignoreMalformedPackets: true } });
  }
  const blocks = text.match(/-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]*?-----END PGP PUBLIC KEY BLOCK-----/g) ?? [];
  const keys = await Promise.all(blocks.map((armoredKeys) => readKeys({ armoredKeys })));
  return keys.flat();
}

function hasFingerprint(key: PublicKey, wanted: string[]): boolean {
  const own = [key, ...key.getSubkeys()].map((part) => part.getFingerprint().toUpperCase());
  return own.some((fingerprint) => wanted.some((text) => fingerprint.endsWith(text)));
}

/** apt's trusted keys, and the distributions' own keyrings for machines whose apt has none. */
function trustedFiles(root: string): string[] {
  const parts = path.join(root, "etc/apt/trusted.gpg.d");
  const names = fs.existsSync(parts) ? fs.readdirSync(parts).toSorted() : [];
  const trusted = [
    path.join(root, "etc/apt/trusted.gpg"),
    ...names.filter((name) => /\.(gpg|asc)$/.test(name)).map((name) => path.join(parts, name)),
  ];
  const distribution = ["debian-archive-keyring.gpg", "ubuntu-archive-keyring.gpg"].map((name) =>
    path.join(root, "usr/share/keyrings", name),
  );
  return [...trusted, ...distribution].filter((file) => (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0);
}
