import { createHash } from "node:crypto";
import { crc32, deflateRawSync } from "node:zlib";
import type { PythonLayout } from "../../src/filesystem/layout.ts";

/** One entry of a zip archive under construction. */
export interface ZipFile {
  path: string;
  bytes?: Uint8Array;
  /** Whole st_mode: 0o100644 unless given. */
  mode?: number;
  stored?: boolean;
  /** A size for the headers that is not true. */
  declaredSize?: number;
}

/** A zip archive in memory, entries in the given order. */
export function buildZip(files: ZipFile[]): Uint8Array {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { path, bytes = new Uint8Array(), mode = 0o100644, stored = false, declaredSize } of files) {
    const name = Buffer.from(path, "utf8");
    const data = stored ? Buffer.from(bytes) : deflateRawSync(bytes);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800, 2);
    common.writeUInt16LE(stored ? 0 : 8, 4);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(declaredSize ?? bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((mode << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.from("PK\x01\x02\x14\x03", "latin1"), common, tail, name);
    locals.push(Buffer.from("PK\x03\x04", "latin1"), common, name, data);
    offset += 30 + name.length + data.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

export interface WheelSpec {
  name?: string;
  version?: string;
  /** Contents by path; a string is UTF-8. */
  files?: Record<string, string | Uint8Array>;
  modes?: Record<string, number>;
  entryPoints?: string;
  metadata?: string;
  /** The whole WHEEL file. */
  wheel?: string;
  purelib?: boolean;
  distInfo?: string;
  /** Changes RECORD's rows before they are written. */
  record?: (rows: string[]) => string[] | undefined;
  extra?: ZipFile[];
}

export interface BuiltWheel {
  filename: string;
  bytes: Uint8Array;
}

/** A wheel in memory, valid unless the spec makes it otherwise. */
export function buildWheel(spec: WheelSpec = {}): BuiltWheel {
  const { name = "demo", version = "1.0", purelib = true, modes = {} } = spec;
  const distInfo = spec.distInfo ?? `${name}-${version}.dist-info`;
  const contents: Record<string, string | Uint8Array> = { ...spec.files };
  contents[`${distInfo}/METADATA`] = spec.metadata ?? `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`;
  contents[`${distInfo}/WHEEL`] =
    spec.wheel ?? `Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: ${purelib}\nTag: py3-none-any\n`;
  if (spec.entryPoints !== undefined) contents[`${distInfo}/entry_points.txt`] = spec.entryPoints;
  const files: ZipFile[] = Object.entries(contents).map(([path, content]) => ({
    path,
    bytes: Buffer.from(content as string),
    mode: 0o100000 | (modes[path] ?? 0o644),
  }));
  const rows = files.map(({ path, bytes = new Uint8Array() }) => recordRow(path, bytes));
  rows.push(`${distInfo}/RECORD,,`);
  const written = spec.record ? spec.record(rows) : rows;
  if (written) files.push({ path: `${distInfo}/RECORD`, bytes: Buffer.from(`${written.join("\n")}\n`) });
  return { filename: `${name}-${version}-py3-none-any.whl`, bytes: buildZip([...files, ...(spec.extra ?? [])]) };
}

export function recordRow(path: string, bytes: Uint8Array): string {
  const hash = createHash("sha256").update(bytes).digest("base64url");
  return `${/[",]/.test(path) ? `"${path.replaceAll('"', '""')}"` : path},sha256=${hash},${bytes.length}`;
}

export const layout: PythonLayout = {
  executable: "/usr/local/bin/python3.12",
  purelib: "usr/local/lib/python3.12/site-packages",
  platlib: "usr/local/lib64/python3.12/site-packages",
  scripts: "usr/local/bin",
  data: "usr/local",
  include: "usr/local/include/python3.12",
  stdlib: "usr/local/lib/python3.12",
  cacheTag: "cpython-312",
};
