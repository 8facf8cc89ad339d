import { eq as sameVersion, valid as isValidVersion } from "@renovatebot/pep440";
import type { ByteSource } from "../archive/byte-source.ts";
import { inflateEntry } from "../archive/zip.ts";
import type { ZipEntry } from "../archive/zip-directory.ts";
import { hasDeviceCode } from "../cuda/device-code.ts";
import { elfFacts } from "../elf/facts.ts";
import type { ElfFacts } from "../elf/facts.ts";
import { isElf } from "../elf/read.ts";
import { stripElf } from "../elf/strip.ts";
import { SheafError } from "../errors.ts";
import type { Content, Entry, FileEntry, LargeContent } from "../filesystem/entry.ts";
import { contentSize } from "../filesystem/entry.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import { openWheel, readOptional, readRequired } from "./archive.ts";
import type { WheelArchive } from "./archive.ts";
import { destinationOf, libraryFolder, recordPath } from "./destination.ts";
import type { Destination, Schemes } from "./destination.ts";
import { parseEntryPoints } from "./entry-points.ts";
import type { EntryPoint } from "./entry-points.ts";
import { normalizeName, parseWheelFilename } from "./filename.ts";
import { parseMetadata, parseWheelInfo } from "./metadata.ts";
import type { WheelMetadata } from "./metadata.ts";
import { topLevelModules } from "./modules.ts";
import { formatRecord, recordHash } from "./record.ts";
import type { RecordRow } from "./record.ts";
import { entryPointScripts, isEntryPointWrapper, withShebang } from "./scripts.ts";
import { RecordCheck } from "./verify-record.ts";
import { byCodeUnit } from "../order.ts";

export interface InstallOptions {
  filename: string;
  layout: PythonLayout;
  /** Drop symbol tables and debug sections of ELF files. */
  strip: boolean;
  /**
   * Paths from the root of the image that another distribution puts there with the same bytes: no entries, though RECORD
   * lists them as it does after pip.
   */
  exclude?: ReadonlySet<string>;
  /** Files of the wheel, by their path in it, that were read before: too large to be held, or replaced by others. */
  prepared?: ReadonlyMap<string, PreparedFile>;
  /** Whether a file of the wheel, by its path in it, is left out. */
  isLeftOut?: (path: string) => boolean;
}

/** A file of a wheel whose bytes have been compared with RECORD, and what is installed in its place. */
export interface PreparedFile {
  /** With its SHA-256. */
  content: Extract<Content, { kind: "bytes" }> | LargeContent;
  sha256: string;
  elf?: ElfFacts;
  /** Bytes that stripping won. */
  strippedBytes?: number;
  note?: string;
}

/** What a wheel becomes in an image. */
export interface InstalledWheel {
  /** Normalised (PEP 503). */
  name: string;
  /** As METADATA has it. */
  version: string;
  requiresDist: string[];
  requiresPython?: string;
  /** Files, sorted by path, owned by 0:0, mode 0644 or 0755. */
  entries: Entry[];
  /** Path of the dist-info folder from the root of the image. */
  distInfo: string;
  /** Top-level names that can be imported. */
  modules: string[];
  entryPoints: EntryPoint[];
  /** The ELF files among the entries. */
  elf: { path: string; facts: ElfFacts }[];
  /** Paths in the wheel of ELF files with device code, those that were prepared left out. */
  deviceCode: string[];
  /** Bytes that stripping won, and in how many files. */
  strippedBytes: number;
  strippedFiles: number;
  /** Paths of the .py files in the library folders, for the bytecode compiler. */
  pythonFiles: string[];
  /** What is odd about the wheel though pip installs it all the same. */
  notes: string[];
}

/**
 * Installs a wheel as the binary distribution format says and pip does, as entries instead of files. Contents keep the
 * wheel's own deflate streams wherever their bytes don't change; every file is checked against RECORD.
 *
 * Stricter than pip in one thing: a file whose bytes contradict RECORD is refused. As in pip, files that RECORD does not
 * know are installed, and rows without a file are dropped; both are notes.
 *
 * @throws SheafError SHEAF_WHEEL, SHEAF_WHEEL_RECORD or SHEAF_ZIP, naming the wheel and the path
 */
export function installWheel(wheel: Uint8Array | ByteSource, options: InstallOptions): InstalledWheel {
  try {
    return install(wheel, options);
  } catch (error) {
    throw namingWheel(error, options.filename);
  }
}

/** An error of the wheel with its name in front. */
export function namingWheel(error: unknown, filename: string): unknown {
  if (!(error instanceof SheafError) || error.message.startsWith(filename)) return error;
  return new SheafError(error.code as `SHEAF_${string}`, `${filename}: ${error.message}`, {
    details: error.details,
    hint: error.hints,
    cause: error,
  });
}

function install(wheel: Uint8Array | ByteSource, options: InstallOptions): InstalledWheel {
  const filename = parseWheelFilename(options.filename);
  const archive = openWheel(wheel, filename.name);
  const metadata = parseMetadata(readRequired(archive, "METADATA"));
  checkIdentity(metadata, filename);
  const { rootIsPurelib } = parseWheelInfo(readRequired(archive, "WHEEL"));
  const schemes = { layout: options.layout, rootIsPurelib, name: metadata.name };
  const entryPoints = readEntryPoints(archive);
  const installation = new Installation({ archive, schemes, options });
  installation.spread(entryPoints);
  return {
    name: filename.name,
    version: metadata.version,
    requiresDist: metadata.requiresDist,
    ...(metadata.requiresPython === undefined ? {} : { requiresPython: metadata.requiresPython }),
    entryPoints,
    ...installation.finish(),
  };
}

function checkIdentity(metadata: WheelMetadata, filename: { name: string; version: string }): void {
  const { name, version } = metadata;
  const agrees =
    normalizeName(name) === filename.name &&
    (version === filename.version || (isValidVersion(version) && sameVersion(version, filename.version)));
  if (agrees) return;
  throw new SheafError("SHEAF_WHEEL", `METADATA is of ${name} ${version}, not of what the file name tells`, {
    hint: "the wheel was renamed or is broken: fetch it again, or pin another release",
  });
}

function readEntryPoints(archive: WheelArchive): EntryPoint[] {
  const bytes = readOptional(archive, "entry_points.txt");
  return bytes ? parseEntryPoints(new TextDecoder().decode(bytes)) : [];
}

function isData(path: string): boolean {
  return path.slice(0, Math.max(0, path.indexOf("/"))).endsWith(".data");
}

/** One wheel on its way into the image. */
class Installation {
  readonly #archive: WheelArchive;
  readonly #schemes: Schemes;
  readonly #options: InstallOptions;
  readonly #record: RecordCheck;
  readonly #files = new Map<string, { entry: FileEntry; row: RecordRow }>();
  readonly #elf = new Map<string, ElfFacts>();
  readonly #stripped = new Map<string, number>();
  readonly #deviceCode = new Set<string>();
  readonly #notes: string[] = [];

  constructor({ archive, schemes, options }: { archive: WheelArchive; schemes: Schemes; options: InstallOptions }) {
    this.#archive = archive;
    this.#schemes = schemes;
    this.#options = options;
    this.#record = new RecordCheck(archive);
  }

  /** pip's order, which decides when two files meet at one path: the root, then *.data, then its scripts, then what is made. */
  spread(entryPoints: EntryPoint[]): void {
    const { layout } = this.#options;
    const scripts = entryPointScripts(entryPoints, layout.executable);
    const files = this.#archive.files.map((file) => ({ file, to: destinationOf(file.path, this.#schemes) }));
    const order = ({ file, to }: (typeof files)[number]) => (to.isScript ? 2 : isData(file.path) ? 1 : 0);
    for (const { file, to } of files.toSorted((a, b) => order(a) - order(b))) {
      if (this.#isRewritten(file.path) || this.#options.isLeftOut?.(file.path)) continue;
      const fileName = to.path.slice(to.path.lastIndexOf("/") + 1);
      if (to.isScript && isEntryPointWrapper(fileName, scripts)) continue;
      this.#place(file, to);
    }
    for (const [name, bytes] of scripts) this.#make(`${layout.scripts}/${name}`, { bytes, mode: 0o755 });
    this.#make(`${this.#distInfo}/INSTALLER`, { bytes: Buffer.from("sheaf\n"), mode: 0o644 });
  }

  finish(): Omit<InstalledWheel, "name" | "version" | "requiresDist" | "requiresPython" | "entryPoints"> {
    this.#writeRecord();
    const paths = [...this.#files.keys()].toSorted(byCodeUnit);
    checkFolders(paths);
    const present = paths.filter((path) => !this.#options.exclude?.has(path));
    const libraries = [...new Set([this.#options.layout.purelib, this.#options.layout.platlib])];
    const importable = paths.flatMap((path) => {
      const library = libraries.find((folder) => path.startsWith(`${folder}/`));
      return library === undefined ? [] : [path.slice(library.length + 1)];
    });
    const stripped = present.flatMap((path) => this.#stripped.get(path) ?? []);
    return {
      entries: present.flatMap((path) => this.#files.get(path)?.entry ?? []),
      distInfo: this.#distInfo,
      modules: topLevelModules(importable),
      elf: present.flatMap((path) => {
        const facts = this.#elf.get(path);
        return facts ? [{ path, facts }] : [];
      }),
      deviceCode: [...this.#deviceCode].toSorted(byCodeUnit),
      strippedBytes: stripped.reduce((sum, bytes) => sum + bytes, 0),
      strippedFiles: stripped.length,
      pythonFiles: present.filter(
        (path) => path.endsWith(".py") && libraries.some((folder) => path.startsWith(`${folder}/`)),
      ),
      notes: [...this.#record.notes(), ...this.#notes, ...caseNotes(paths)],
    };
  }

  #writeRecord(): void {
    const path = `${this.#distInfo}/RECORD`;
    this.#forget(path);
    const row = { path: recordPath(path, libraryFolder(this.#schemes)) };
    const rows = [...this.#files.values()].map((file) => file.row);
    const bytes = Buffer.from(formatRecord([...rows, row]), "utf8");
    this.#files.set(path, { entry: fileEntry(path, { content: { kind: "bytes", bytes }, mode: 0o644 }), row });
  }

  get #distInfo(): string {
    return `${libraryFolder(this.#schemes)}/${this.#archive.distInfo}`;
  }

  /** Files that the installer writes anew or drops: signatures of RECORD don't outlive it, and others' installers' marks aren't ours. */
  #isRewritten(path: string): boolean {
    const folder = `${this.#archive.distInfo}/`;
    return path.startsWith(folder) && rewritten.has(path.slice(folder.length));
  }

  #place(file: ZipEntry, { path, isScript }: Destination): void {
    if (this.#files.has(path)) {
      this.#notes.push(`two files of the wheel meet at ${path}; the later one is kept, as in pip`);
    }
    this.#forget(path);
    const mode = isScript || (file.mode & 0o111) !== 0 ? 0o755 : 0o644;
    const prepared = this.#options.prepared?.get(file.path);
    if (prepared) return this.#placePrepared(prepared, { path, mode });
    const bytes = inflateEntry(file);
    const hash = this.#record.check(file.path, bytes);
    const rewritten = isScript ? withShebang(bytes, this.#options.layout.executable) : undefined;
    const changed = rewritten ?? this.#readElf(path, bytes, file.path);
    if (changed) return this.#write(path, { bytes: changed, mode });
    const content = contentOf(file, { bytes, sha256: hexOf(hash) });
    this.#files.set(path, {
      entry: fileEntry(path, { content, mode }),
      row: this.#row(path, { hash, size: file.size }),
    });
  }

  #placePrepared(prepared: PreparedFile, { path, mode }: { path: string; mode: number }): void {
    const { content, sha256, elf, strippedBytes, note } = prepared;
    if (elf) this.#elf.set(path, elf);
    if (strippedBytes !== undefined) this.#stripped.set(path, strippedBytes);
    if (note !== undefined) this.#notes.push(`${path} is left as it is: ${note}`);
    const hash = `sha256=${Buffer.from(sha256, "hex").toString("base64url")}`;
    const row = this.#row(path, { hash, size: contentSize(content) });
    this.#files.set(path, { entry: fileEntry(path, { content, mode }), row });
  }

  #forget(path: string): void {
    this.#files.delete(path);
    this.#elf.delete(path);
    this.#stripped.delete(path);
  }

  /** A file that the installer makes, in the place of whatever was there. */
  #make(path: string, file: { bytes: Uint8Array; mode: number }): void {
    this.#forget(path);
    this.#write(path, file);
  }

  #write(path: string, { bytes, mode }: { bytes: Uint8Array; mode: number }): void {
    const hash = recordHash(bytes);
    const content = { kind: "bytes", bytes, sha256: hexOf(hash) } as const;
    this.#files.set(path, {
      entry: fileEntry(path, { content, mode }),
      row: this.#row(path, { hash, size: bytes.length }),
    });
  }

  #row(path: string, { hash, size }: { hash: string; size: number }): RecordRow {
    return { path: recordPath(path, libraryFolder(this.#schemes)), hash, size };
  }

  /** Notes the facts of an ELF file; returns its stripped form when it is worth having. */
  #readElf(path: string, bytes: Uint8Array, inWheel: string): Uint8Array | undefined {
    if (!isElf(bytes)) return undefined;
    try {
      const facts = elfFacts(bytes);
      if (!facts) return undefined;
      this.#elf.set(path, facts);
      if (hasDeviceCode(bytes)) this.#deviceCode.add(inWheel);
      const stripped = this.#options.strip ? stripElf(bytes) : undefined;
      // A file that changes has to be compressed again, which a few bytes are not worth.
      if (!stripped || (bytes.length - stripped.length) * leastShare < bytes.length) return undefined;
      this.#stripped.set(path, bytes.length - stripped.length);
      return stripped;
    } catch (error) {
      if (!(error instanceof SheafError)) throw error;
      this.#notes.push(`${path} is left as it is: ${error.message}`);
      return undefined;
    }
  }
}

function fileEntry(path: string, { content, mode }: { content: Content; mode: number }): FileEntry {
  return { type: "file", path, mode, uid: 0, gid: 0, content };
}

/** What a layer would pack together with its neighbours travels inflated, or it would have to be inflated again. */
function contentOf(file: ZipEntry, { bytes, sha256 }: { bytes: Uint8Array; sha256: string }): Content {
  if (file.method === 0 || file.compressedSize < smallFile) return { kind: "bytes", bytes, sha256 };
  return {
    kind: "deflated",
    // Read from the wheel when it is wanted.
    get deflated() {
      return file.data;
    },
    crc32: file.crc32,
    size: file.size,
    sha256,
  };
}

/** A hash of RECORD in hex. */
function hexOf(hash: string): string {
  return Buffer.from(hash.slice(hash.indexOf("=") + 1), "base64url").toString("hex");
}

function checkFolders(paths: string[]): void {
  const files = new Set(paths);
  const folders = new Set<string>();
  for (const path of paths) {
    for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
      const folder = path.slice(0, slash);
      if (folders.has(folder)) break;
      folders.add(folder);
      if (!files.has(folder)) continue;
      throw new SheafError("SHEAF_WHEEL", `${folder} would be a file and the folder of ${path}`);
    }
  }
}

function caseNotes(paths: string[]): string[] {
  const seen = new Map<string, string>();
  return paths.flatMap((path) => {
    const folded = path.toLowerCase();
    const other = seen.get(folded);
    seen.set(folded, path);
    return other === undefined ? [] : [`${other} and ${path} differ only in case`];
  });
}

const rewritten = new Set(["RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"]);
/** Bytes of a deflate stream below which a segment does not keep it (archive/segment.ts). */
const smallFile = 24 * 1024;
/** Stripping must win at least one part in so many. */
const leastShare = 20;
