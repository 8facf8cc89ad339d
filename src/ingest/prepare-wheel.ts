import type { ByteSource } from "../archive/byte-source.ts";
import type { ZipEntry } from "../archive/zip-directory.ts";
import { hasDeviceCode } from "../cuda/device-code.ts";
import { isAmong } from "../cuda/profiles.ts";
import { type ElfFacts, elfFacts } from "../elf/facts.ts";
import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import { contentSize } from "../filesystem/entry.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import { byCodeUnit, byPath } from "../order.ts";
import type { Store } from "../store/store.ts";
import { openWheel, type WheelArchive } from "../wheel/archive.ts";
import { parseWheelFilename } from "../wheel/filename.ts";
import { type InstalledWheel, installWheel, namingWheel, type PreparedFile } from "../wheel/install.ts";
import { RecordCheck } from "../wheel/verify-record.ts";
import { type DeviceFacts, type DeviceLibrary, type DeviceOptions, type LeftOut, mayTrim } from "./device.ts";
import { type ChangedLibrary, strip, stub, trim } from "./change-library.ts";
import { isLargeFile, openWheelFile, unchangedContent, type WheelFile } from "./wheel-file.ts";

/** A wheel that is ready to be written as a segment. */
export interface PreparedWheel {
  installed: InstalledWheel;
  /** Paths in the wheel of its libraries with device code, sorted; undefined when some were not looked at. */
  deviceCode?: string[];
  /** What was done to them; undefined when nothing was. */
  device?: DeviceFacts;
  /** Lets go of the files that contents are read from. */
  close(): void;
}

export interface PrepareOptions {
  filename: string;
  layout: PythonLayout;
  strip: boolean;
  /** Paths that another distribution has already put there with the same bytes. */
  exclude: string[];
  /** Absent: CUDA libraries stay as they are. */
  device?: DeviceOptions;
  store: Store;
  emit: Emit;
}

/**
 * Installs a wheel. Files that are too large to be held are read through a file without a name, one at a time; those
 * whose device code goes stay there until the segment is written.
 *
 * @throws SheafError as `installWheel`, and SHEAF_DISK_FULL
 */
export async function prepareWheel(source: ByteSource, options: PrepareOptions): Promise<PreparedWheel> {
  const preparation = new Preparation(source, options);
  try {
    return await preparation.run();
  } catch (error) {
    preparation.close();
    throw namingWheel(error, options.filename);
  }
}

class Preparation {
  readonly #wheel: ByteSource;
  readonly #options: PrepareOptions;
  readonly #prepared = new Map<string, PreparedFile>();
  readonly #dropped = new Set<string>();
  readonly #libraries: DeviceLibrary[] = [];
  readonly #deviceCode: string[] = [];
  readonly #kept: WheelFile[] = [];

  constructor(wheel: ByteSource, options: PrepareOptions) {
    this.#wheel = wheel;
    this.#options = options;
  }

  async run(): Promise<PreparedWheel> {
    const { device, filename } = this.#options;
    // What is large in a small wheel is small.
    if (this.#wheel.size <= smallWheel && !device) return this.#result(this.#install());
    const archive = openWheel(this.#wheel, parseWheelFilename(filename).name);
    const record = new RecordCheck(archive);
    this.#drop(archive);
    for (const entry of archive.files) {
      if (this.#dropped.has(entry.path) || isScript(entry.path)) continue;
      const leftOut = device?.leaveOut.find(({ how, path }) => how === "stub" && isAmong(path, entry.path));
      if (leftOut || isLargeFile(this.#wheel, entry))
        await this.#prepare(entry, { record, ...(leftOut && { leftOut }) });
    }
    const installed = this.#install();
    if (!device || device.targets.length === 0) return this.#result(installed);
    // Device code of small libraries is found as they are installed.
    const found = installed.deviceCode.flatMap((path) => archive.byPath.get(path) ?? []);
    for (const entry of found) await this.#prepare(entry, { record });
    const isChanged = found.some(({ path }) => this.#prepared.has(path));
    return this.#result(isChanged ? this.#install() : installed);
  }

  close(): void {
    for (const file of this.#kept.splice(0)) file.close();
  }

  #install(): InstalledWheel {
    const { filename, layout, strip: isStripped, exclude } = this.#options;
    return installWheel(this.#wheel, {
      filename,
      layout,
      strip: isStripped,
      exclude: new Set(exclude),
      prepared: this.#prepared,
      isLeftOut: (path) => this.#dropped.has(path),
    });
  }

  #result(installed: InstalledWheel): PreparedWheel {
    const prepared: PreparedWheel = { installed, close: () => this.close() };
    const deviceCode = [...new Set([...this.#deviceCode, ...installed.deviceCode])].toSorted(byCodeUnit);
    if (this.#dropped.size === 0) prepared.deviceCode = deviceCode;
    if (this.#libraries.length === 0) return prepared;
    const sum = (key: "before" | "after") => this.#libraries.reduce((total, library) => total + library[key], 0);
    return {
      ...prepared,
      device: { before: sum("before"), after: sum("after"), libraries: this.#libraries.toSorted(byPath) },
    };
  }

  #drop({ files }: WheelArchive): void {
    for (const { path: pattern, how } of this.#options.device?.leaveOut ?? []) {
      if (how !== "drop") continue;
      const found = files.filter(({ path }) => isAmong(pattern, path) && !this.#dropped.has(path));
      for (const { path, size } of found) {
        this.#dropped.add(path);
        if (isLibrary(path)) this.#libraries.push({ path, before: size, after: 0, outcome: "dropped" });
      }
      const others = found.filter(({ path }) => !isLibrary(path));
      const before = others.reduce((sum, { size }) => sum + size, 0);
      if (others.length > 0) this.#libraries.push({ path: pattern, before, after: 0, outcome: "dropped" });
    }
  }

  /** Reads a file and decides what is installed of it; keeps it open where that is read from it. */
  async #prepare(entry: ZipEntry, { record, leftOut }: { record: RecordCheck; leftOut?: LeftOut }): Promise<void> {
    const { store, emit, filename } = this.#options;
    const id = `${filename} ${entry.path}`;
    const isLarge = isLargeFile(this.#wheel, entry);
    const label = `${entry.path.slice(entry.path.lastIndexOf("/") + 1)} of ${filename.split("-")[0]}`;
    if (isLarge) emit({ type: "work-start", id, group: "libraries", label });
    const file = await openWheelFile(this.#wheel, entry, { record, store });
    try {
      const prepared = await this.#decide(file, leftOut);
      if (prepared) this.#prepared.set(entry.path, prepared);
    } finally {
      if (!this.#kept.includes(file)) file.close();
    }
    if (isLarge) emit({ type: "work-end", id, group: "libraries", reused: false });
  }

  /** Decides what is installed of a file; undefined when the installer can do it alone. */
  async #decide(file: WheelFile, leftOut: LeftOut | undefined): Promise<PreparedFile | undefined> {
    const { entry, source, sha256 } = file;
    const whole: PreparedFile | undefined = isLargeFile(this.#wheel, entry)
      ? { content: unchangedContent(this.#wheel, file), sha256 }
      : undefined;
    if (!source) return whole;
    const told = this.#libraries.length;
    let elf: ElfFacts | undefined;
    try {
      elf = elfFacts(source);
      const found = elf && (await this.#change(entry, { source, leftOut }));
      if (!elf || !found) return whole && { ...whole, ...(elf && { elf }) };
      const { content, sha256: changedSha256, isRead } = found.changed;
      if (isRead) this.#kept.push(file);
      const stub = content.kind === "bytes" ? elfFacts(content.bytes) : undefined;
      const won = found.won === undefined ? {} : { strippedBytes: found.won };
      return { content, sha256: changedSha256, elf: stub ?? elf, ...won };
    } catch (error) {
      if (!(error instanceof SheafError) || error.code !== "SHEAF_ELF") throw error;
      this.#libraries.length = told;
      const { path, size } = entry;
      if (this.#deviceCode.includes(path)) {
        this.#libraries.push({ path, before: size, after: size, outcome: "whole", note: error.message });
      }
      return whole && { ...whole, ...(elf && { elf }), note: error.message };
    }
  }

  async #change(
    entry: ZipEntry,
    { source, leftOut }: { source: ByteSource; leftOut: LeftOut | undefined },
  ): Promise<{ changed: ChangedLibrary; won?: number } | undefined> {
    const { device, strip: isStripped } = this.#options;
    const { path, size: before } = entry;
    const tell = (facts: Pick<DeviceLibrary, "after" | "outcome" | "note">) =>
      this.#libraries.push({ path, before, ...facts });
    const isDevice = hasDeviceCode(source);
    if (isDevice) this.#deviceCode.push(path);
    if (leftOut) {
      const changed = await stub(source, leftOut.setting);
      if (changed) tell({ after: contentSize(changed.content), outcome: "stubbed" });
      else tell({ after: before, outcome: "whole", note: `it stays, because no stub is known for ${leftOut.library}` });
      if (changed) return { changed };
    }
    if (isDevice && device && device.targets.length > 0) {
      if (!mayTrim(path, this.#options)) {
        tell({ after: before, outcome: "whole", note: "it is NVIDIA's own" });
        return undefined;
      }
      const trimmed = await trim(source, { targets: device.targets, isStripped });
      if (trimmed) tell(trimmed.facts);
      if (trimmed?.changed) return { changed: trimmed.changed };
    }
    return isStripped ? strip(source) : undefined;
  }
}

/** What is run is read whole: its first line may change. */
function isScript(path: string): boolean {
  return /^[^/]+\.data\/scripts\//.test(path);
}

function isLibrary(path: string): boolean {
  return /\.so(?:\.[\w.]+)?$/.test(path);
}

/** Bytes of a wheel that is installed in memory whatever it unpacks to: fifty times as much at most. */
const smallWheel = 4 * 2 ** 20;
