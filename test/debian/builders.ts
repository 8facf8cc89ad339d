import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

import { createCleartextMessage, generateKey, sign, type PrivateKey, readPrivateKey } from "openpgp";

/** One entry of a tar archive, written field by field: independent of the code under test. */
export interface TarPart {
  path: string;
  type?: "file" | "directory" | "symlink" | "hardlink" | "device";
  text?: string | Uint8Array;
  target?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  /** PAX records before the entry, such as SCHILY.xattr.… */
  pax?: Record<string, string>;
}

export function tar(parts: TarPart[]): Buffer {
  const blocks = parts.flatMap((part) => {
    const records = Object.entries(part.pax ?? {})
      .map(([key, value]) => paxRecord(key, value))
      .join("");
    const pax =
      records === ""
        ? []
        : [tarHeader({ path: "PaxHeaders/x" }, "x", Buffer.byteLength(records)), padded(Buffer.from(records))];
    const flags = { file: "0", hardlink: "1", symlink: "2", device: "3", directory: "5" } as const;
    const data = Buffer.from(part.text ?? "");
    return [...pax, tarHeader(part, flags[part.type ?? "file"], data.length), padded(data)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function tarHeader(part: TarPart, flag: string, size: number): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  header.write(part.path, 0, "utf8");
  octal(part.mode ?? (flag === "5" ? 0o755 : 0o644), 100, 8);
  octal(part.uid ?? 0, 108, 8);
  octal(part.gid ?? 0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  header.write("        ", 148, "latin1");
  header.write(flag, 156, "latin1");
  header.write(part.target ?? "", 157, "utf8");
  header.write("ustar\x0000", 257, "latin1");
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return header;
}

function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(body);
  while (String(length).length + Buffer.byteLength(body) !== length)
    length = String(length).length + Buffer.byteLength(body);
  return `${length}${body}`;
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

export function ar(members: [name: string, data: Uint8Array][]): Buffer {
  const parts = members.flatMap(([name, data]) => {
    const header = `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(data.length).padEnd(10)}\`\n`;
    return [Buffer.from(header, "latin1"), data, Buffer.alloc(data.length % 2, "\n")];
  });
  return Buffer.concat([Buffer.from("!<arch>\n"), ...parts]);
}

export interface DebParts {
  control?: Record<string, string>;
  /** Further members of the control archive: `postinst`, `triggers`. */
  scripts?: Record<string, string>;
  files?: TarPart[];
  compression?: "gz" | "xz" | "zst" | "none";
}

/** A .deb in memory. */
export function deb({ control = {}, scripts = {}, files = [], compression = "gz" }: DebParts): Buffer {
  const fields = {
    Package: "sample",
    Version: "1.0-1",
    Architecture: "amd64",
    Maintainer: "Nobody <nobody@example.test>",
    Description: "sample",
    ...control,
  };
  const text = Object.entries(fields)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join("");
  const members = [
    { path: "./control", text },
    ...Object.entries(scripts).map(([name, body]) => ({ path: `./${name}`, text: body, mode: 0o755 })),
  ];
  return ar([
    ["debian-binary", Buffer.from("2.0\n")],
    [`control.tar${suffix(compression)}`, compress(tar(members), compression)],
    [`data.tar${suffix(compression)}`, compress(tar([{ path: "./", type: "directory" }, ...files]), compression)],
  ]);
}

function suffix(compression: NonNullable<DebParts["compression"]>): string {
  return compression === "none" ? "" : `.${compression}`;
}

function compress(data: Buffer, compression: NonNullable<DebParts["compression"]>): Uint8Array {
  if (compression === "none") return data;
  if (compression === "gz") return gzipSync(data);
  return execFileSync(compression === "xz" ? "xz" : "zstd", ["-c"], { input: data });
}

export function hasTool(name: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`]);
    return true;
  } catch {
    return false;
  }
}

export interface Key {
  privateKey: PrivateKey;
  /** Armored. */
  publicKey: string;
}

export async function makeKey(name: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKey({
    type: "ecc",
    curve: "ed25519Legacy",
    userIDs: [{ name }],
    date: new Date("2026-01-01T00:00:00Z"),
  });
  return { privateKey: await readPrivateKey({ armoredKey: privateKey }), publicKey };
}

export interface SuiteParts {
  suite: string;
  codename?: string;
  origin?: string;
  label?: string;
  version?: string;
  date?: string;
  validUntil?: string;
  packages: string;
  contents?: string;
  architecture?: string;
}

/** An archive on 127.0.0.1 that serves what is in `files`, with every request noted. */
export interface TestArchive {
  url: string;
  files: Map<string, Uint8Array>;
  requests: string[];
  publish(suite: SuiteParts, key?: Key): Promise<void>;
  close(): Promise<void>;
}

export async function serveArchive(): Promise<TestArchive> {
  const files = new Map<string, Uint8Array>();
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    requests.push(request.url ?? "");
    const body = files.get(request.url ?? "");
    if (!body) return void response.writeHead(404).end("not here");
    response.writeHead(200, { "content-length": body.length }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/debian`,
    files,
    requests,
    publish: (suite, key) => publishSuite(files, suite, key),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function publishSuite(files: Map<string, Uint8Array>, suite: SuiteParts, key?: Key): Promise<void> {
  const architecture = suite.architecture ?? "amd64";
  const indexes: [string, Buffer][] = [[`main/binary-${architecture}/Packages.gz`, gzipSync(suite.packages)]];
  if (suite.contents !== undefined) indexes.push([`main/Contents-${architecture}.gz`, gzipSync(suite.contents)]);
  const sums = indexes.map(([name, data]) => ` ${hash(data)} ${String(data.length).padStart(8)} ${name}`).join("\n");
  const fields = [
    `Origin: ${suite.origin ?? "Debian"}`,
    `Label: ${suite.label ?? "Debian"}`,
    `Suite: ${suite.suite}`,
    ...(suite.version === undefined ? [] : [`Version: ${suite.version}`]),
    `Codename: ${suite.codename ?? suite.suite}`,
    `Date: ${suite.date ?? "Sat, 21 Nov 2026 00:00:00 UTC"}`,
    ...(suite.validUntil === undefined ? [] : [`Valid-Until: ${suite.validUntil}`]),
    "Acquire-By-Hash: yes",
    `Architectures: all ${architecture}`,
    "Components: main",
    "SHA256:",
    sums,
    "",
  ].join("\n");
  const folder = `/debian/dists/${suite.suite}`;
  for (const [name, data] of indexes) {
    files.set(`${folder}/${name}`, data);
    files.set(`${folder}/${name.replace(/[^/]+$/, "")}by-hash/SHA256/${hash(data)}`, data);
  }
  const signed = key ? await clearSign(fields, key, new Date(suite.date ?? "2026-11-21T00:00:00Z")) : fields;
  files.set(`${folder}/InRelease`, Buffer.from(signed));
}

async function clearSign(text: string, key: Key, date: Date): Promise<string> {
  return sign({ message: await createCleartextMessage({ text }), signingKeys: key.privateKey, date });
}

export function hash(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** A stanza of a Packages file. */
export function stanza(name: string, fields: Record<string, string> = {}): string {
  const all = {
    Package: name,
    Version: "1.0-1",
    Architecture: "amd64",
    Filename: `pool/main/${name}.deb`,
    Size: "100",
    SHA256: hash(Buffer.from(name)),
    Description: "a package\n with a longer text",
    ...fields,
  };
  return `${Object.entries(all)
    .map(([key, value]) => `${key}: ${value}`)
    .join("\n")}\n\n`;
}
