import { type DebPackage, readPackage } from "./package.ts";
import { parseRelations, type Relation } from "./relation.ts";
import { compareVersions } from "./version.ts";

/** Looks packages up; what a resolver needs of an archive. */
export interface PackageLookup {
  /** Every version of a name, newest first. */
  versions(name: string): DebPackage[];
  /** Packages whose newest version provides a name, with the Provides entry. */
  providers(name: string): { package: DebPackage; provided: Relation }[];
  /** Every real name. */
  names(): Iterable<string>;
}

/** Format of the compact index; part of every cache key that depends on it. */
export const indexFormat = 1;

const keptFields =
  "Package|Version|Architecture|Source|Essential|Priority|Depends|Pre-Depends|Provides|Conflicts|Breaks|Replaces|Installed-Size|Filename|Size|SHA256";

/** Index of one Packages file; the stanzas it points to are read only when they are asked for. */
interface IndexHeader {
  /** Names in the order of the stanzas, parted by newlines. */
  names: string;
  /** Length of each stanza in bytes. */
  lengths: number[];
  /** Virtual name → positions of the stanzas that provide it. */
  provides: [name: string, positions: number[]][];
}

/**
 * Makes a Packages file (Debian repository format) small and quick to open: keeps the fields that are used, a table of names
 * and a table of what is provided. Stanzas without a name, version, file name or SHA-256 are left out.
 */
export function compactIndex(packages: Uint8Array): Uint8Array {
  const buffer = Buffer.from(packages.buffer, packages.byteOffset, packages.length);
  const fieldLine = new RegExp(`^(?:${keptFields}):.*(?:\\n[ \\t].*)*`, "gm");
  const names: string[] = [];
  const lengths: number[] = [];
  const provides = new Map<string, number[]>();
  const stanzas: string[] = [];
  for (let start = 0; start < buffer.length;) {
    const found = buffer.indexOf("\n\n", start);
    const end = found < 0 ? buffer.length : found;
    // Latin-1 keeps every byte as it is; names and relations are ASCII.
    const stanza = (buffer.toString("latin1", start, end).match(fieldLine) ?? []).join("\n");
    start = end + 2;
    const name = /^Package: *(\S+)/m.exec(stanza)?.[1];
    if (!name || !/^Version:/m.test(stanza) || !/^SHA256: *[0-9a-f]{64}$/m.test(stanza) || !/^Filename:/m.test(stanza))
      continue;
    const provided = /^Provides:(.*(?:\n[ \t].*)*)/m.exec(stanza)?.[1];
    for (const [relation] of parseRelations(provided)) {
      if (!relation) continue;
      const positions = provides.get(relation.name);
      if (positions) positions.push(names.length);
      else provides.set(relation.name, [names.length]);
    }
    names.push(name);
    lengths.push(stanza.length);
    stanzas.push(stanza);
  }
  const header: IndexHeader = { names: names.join("\n"), lengths, provides: [...provides] };
  const head = Buffer.from(JSON.stringify(header), "latin1");
  const size = Buffer.alloc(4);
  size.writeUInt32LE(head.length);
  return Buffer.concat([size, head, Buffer.from(stanzas.join(""), "latin1")]);
}

/** Opens compact indexes of one or more suites as one archive. @param parts each with the address of its archive */
export function openIndexes(parts: { bytes: Uint8Array; uri: string }[]): PackageLookup {
  const indexes = parts.map((part) => new CompactIndex(part.bytes, part.uri));
  const newest = (name: string) => allVersions(name)[0];
  const allVersions = (name: string) =>
    indexes.flatMap((index) => index.read(name)).toSorted((a, b) => compareVersions(b.version, a.version));
  return {
    versions: allVersions,
    providers: (name) => {
      const owners = [...new Set(indexes.flatMap((index) => index.providerNames(name)))].toSorted();
      return owners.flatMap((owner) => {
        const candidate = newest(owner);
        const provided =
          candidate &&
          parseRelations(candidate.provides)
            .flat()
            .find((entry) => entry.name === name);
        return provided ? [{ package: candidate, provided }] : [];
      });
    },
    *names() {
      for (const index of indexes) yield* index.names();
    },
  };
}

class CompactIndex {
  readonly #body: Buffer;
  readonly #uri: string;
  readonly #names: string[];
  readonly #offsets: number[];
  readonly #positions = new Map<string, number[]>();
  readonly #provides: Map<string, number[]>;

  constructor(bytes: Uint8Array, uri: string) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const size = buffer.readUInt32LE(0);
    const header = JSON.parse(buffer.toString("latin1", 4, 4 + size)) as IndexHeader;
    this.#body = buffer.subarray(4 + size);
    this.#uri = uri;
    this.#names = header.names === "" ? [] : header.names.split("\n");
    this.#offsets = [0];
    let offset = 0;
    for (const length of header.lengths) this.#offsets.push((offset += length));
    for (const [position, name] of this.#names.entries()) {
      const known = this.#positions.get(name);
      if (known) known.push(position);
      else this.#positions.set(name, [position]);
    }
    this.#provides = new Map(header.provides);
  }

  names(): Iterable<string> {
    return this.#positions.keys();
  }

  read(name: string): DebPackage[] {
    return (this.#positions.get(name) ?? []).map((position) => this.#stanza(position));
  }

  providerNames(virtual: string): string[] {
    return (this.#provides.get(virtual) ?? []).map((position) => this.#names[position] ?? "");
  }

  #stanza(position: number): DebPackage {
    const text = this.#body.toString("latin1", this.#offsets[position], this.#offsets[position + 1]);
    const fields = new Map<string, string>();
    for (const match of text.matchAll(/^([A-Za-z0-9-]+):(.*(?:\n[ \t].*)*)/gm)) {
      fields.set(match[1] ?? "", (match[2] ?? "").replaceAll("\n", " ").trim());
    }
    return readPackage(fields, this.#uri);
  }
}
