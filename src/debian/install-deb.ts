import { elfFacts, type ElfFacts } from "../elf/facts.ts";
import { SheafError } from "../errors.ts";
import type { Entry } from "../filesystem/entry.ts";
import { parseControl, formatParagraph } from "./control.ts";
import type { DebEffect } from "./effects.ts";
import { databaseEntries } from "./dpkg-database.ts";
import { type ControlMembers, openDeb } from "./open-deb.ts";
import { linkHardlinks, type UnpackedEntry, unpackEntry } from "./unpack.ts";
import { applyAttributes } from "./attributes.ts";
import { imagePath } from "./script-arguments.ts";
import { scriptEffects } from "./scripts.ts";
import { byPath } from "../order.ts";

export interface InstallDebOptions {
  /** Keeps manuals, documentation and translations. */
  keepDocs?: boolean;
  /** Packages whose maintainer scripts are passed over whatever they do. */
  ignoreScripts?: string[];
}

/** What a .deb comes to in an image. Nothing of it was run. */
export interface InstalledDeb {
  name: string;
  version: string;
  architecture: string;
  /** Source package and its version. */
  source: string;
  sourceVersion: string;
  /** The control paragraph. */
  fields: Record<string, string>;
  /** Sorted by path; parents that the package does not name are not in it. A hardlink's target stands before it. */
  entries: Entry[];
  elf: { path: string; facts: ElfFacts }[];
  /** Symbolic links among the entries, and those that installing makes: of alternatives, each as if it were chosen. */
  links: { path: string; target: string }[];
  effects: DebEffect[];
  /** Manuals, documentation, translations: what was not taken. */
  leftOut: { files: number; bytes: number };
}

/**
 * Unpacks a .deb (deb(5)) into entries with merged /usr, and models what its maintainer scripts would do.
 *
 * @throws SheafError SHEAF_DEB_FORMAT when the file is broken or breaks out of the root, SHEAF_DEB_SCRIPT when a maintainer
 * script does something that Sheaf does not know
 */
export async function installDeb(deb: Uint8Array, options: InstallDebOptions = {}): Promise<InstalledDeb> {
  const { control, data } = await openDeb(deb);
  const fields = readFields(control);
  const name = required(fields, "Package");
  const unpacked = data.flatMap((entry) => unpackEntry(entry, name));
  const { kept, leftOut } = options.keepDocs
    ? { kept: unpacked, leftOut: { files: 0, bytes: 0 } }
    : withoutDocs(unpacked);
  const architecture = required(fields, "Architecture");
  const version = required(fields, "Version");
  const plain = linkHardlinks(unpacked, kept);
  const ignore = options.ignoreScripts?.includes(name) ?? false;
  const fromScripts = scriptEffects({
    name,
    architecture,
    control,
    entries: linkHardlinks(unpacked, unpacked),
    ignore,
  });
  const entries = applyAttributes(plain, fromScripts);
  const database = databaseEntries({ name, fields, control, entries });
  const source = /^(\S+)(?:\s+\(([^)]+)\))?/.exec(fields["Source"] ?? "");
  return {
    name,
    version,
    architecture,
    source: source?.[1] ?? name,
    sourceVersion: source?.[2] ?? version,
    fields,
    entries: [...entries, ...database].toSorted(byPath),
    elf: findElf(entries, name),
    links: [...linksOf(entries), ...linksOfScripts(fromScripts, entries)],
    effects: [...fromScripts, ...dataEffects(entries)],
    leftOut,
  };
}

function readFields(control: ControlMembers): Record<string, string> {
  const text = Buffer.from(control.get("control") ?? []).toString("utf8");
  return Object.fromEntries(parseControl(text)[0] ?? []);
}

function required(fields: Record<string, string>, name: string): string {
  const value = fields[name];
  const syntax = name === "Version" ? /^[A-Za-z0-9.+~:-]+$/ : /^[a-z0-9][a-z0-9+.-]*$/;
  if (value !== undefined && syntax.test(value)) return value;
  throw new SheafError(
    "SHEAF_DEB_FORMAT",
    `the package's control file has no proper ${name}: ${formatParagraph(Object.entries(fields)).slice(0, 80)}`,
  );
}

const documentation = /^usr\/share\/(man|info|locale|lintian|doc|doc-base|bug|linda|gtk-doc|help)(\/|$)/;

/** Programs that only maintainer scripts run, of packages that are taken without their dependencies: they couldn't start. */
const maintenance: ReadonlySet<string> = new Set(["usr/sbin/update-passwd", "usr/sbin/update-ca-certificates"]);

/** Licences stay: shipping the software asks for them. */
function withoutDocs(entries: UnpackedEntry[]): { kept: UnpackedEntry[]; leftOut: { files: number; bytes: number } } {
  const isKept = (entry: UnpackedEntry) =>
    !maintenance.has(entry.path) &&
    (!documentation.test(entry.path) ||
      /^usr\/share\/doc\/[^/]+\/copyright$/.test(entry.path) ||
      isCopyrightLink(entry));
  const left = entries.filter((entry) => !isKept(entry) && entry.type !== "directory");
  const bytes = left.reduce((sum, entry) => sum + (entry.type === "file" ? entry.data.length : 0), 0);
  return { kept: entries.filter(isKept), leftOut: { files: left.length, bytes } };
}

/** `usr/share/doc/libfoo1 -> libfoo-common`: the copyright file is found through it. */
function isCopyrightLink(entry: UnpackedEntry): boolean {
  return entry.type === "symlink" && /^usr\/share\/doc\/[^/]+$/.test(entry.path);
}

function linksOf(entries: Entry[]): { path: string; target: string }[] {
  return entries.flatMap((entry) => (entry.type === "symlink" ? [{ path: entry.path, target: entry.target }] : []));
}

/** Without these nobody would find libblas.so.3, which is in a folder of its own until an alternative links to it. */
function linksOfScripts(effects: DebEffect[], entries: Entry[]): { path: string; target: string }[] {
  const own = new Set(entries.map((entry) => entry.path));
  return effects.flatMap((effect) => {
    if (effect.kind === "symlink") return own.has(effect.path) ? [] : [{ path: effect.path, target: effect.target }];
    if (effect.kind !== "alternative") return [];
    return [effect, ...effect.slaves]
      .filter(({ link, path }) => own.has(imagePath(path)) && !own.has(imagePath(link)))
      .map(({ link, path }) => ({ path: imagePath(link), target: path }));
  });
}

function findElf(entries: Entry[], name: string): { path: string; facts: ElfFacts }[] {
  return entries.flatMap((entry) => {
    if (entry.type !== "file" || entry.content.kind !== "bytes" || entry.path.startsWith("usr/lib/debug/")) return [];
    try {
      const facts = elfFacts(entry.content.bytes);
      return facts && (facts.type === "dyn" || facts.type === "exec") ? [{ path: entry.path, facts }] : [];
    } catch (error) {
      if (!(error instanceof SheafError)) throw error;
      throw new SheafError(error.code as `SHEAF_${string}`, `${entry.path} of ${name}: ${error.message}`, {
        cause: error,
      });
    }
  });
}

/** Effects that follow from files alone: certificates, and the tables of base-passwd. */
function dataEffects(entries: Entry[]): DebEffect[] {
  const text = (path: string) => {
    const entry = entries.find((candidate) => candidate.path === path);
    return entry?.type === "file" && entry.content.kind === "bytes"
      ? Buffer.from(entry.content.bytes).toString("utf8")
      : undefined;
  };
  const certificates = entries.flatMap(({ path }) =>
    /^usr\/share\/ca-certificates\/.+\.crt$/.test(path) ? [{ path, pem: text(path) ?? "" }] : [],
  );
  const passwd = text("usr/share/base-passwd/passwd.master");
  const group = text("usr/share/base-passwd/group.master");
  return [
    ...(certificates.length > 0 ? [{ kind: "certificates", files: certificates } as const] : []),
    ...(passwd !== undefined && group !== undefined ? [{ kind: "accounts", passwd, group } as const] : []),
  ];
}
