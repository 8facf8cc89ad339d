import { SheafError } from "../errors.ts";

export interface ArMember {
  name: string;
  /** A view of the archive. */
  data: Uint8Array;
}

/**
 * Reads an ar archive, such as a .deb: plain, GNU (`//` table) and BSD (`#1/`) names. Symbol tables are left out.
 * @throws SheafError SHEAF_AR
 */
export function readAr(bytes: Uint8Array): ArMember[] {
  const magic = text(bytes.subarray(0, 8));
  if (magic === "!<thin>\n") throw arError("is thin: its members are other files");
  if (magic !== "!<arch>\n") throw arError("does not begin like one: it is cut short, or something else");
  const members: ArMember[] = [];
  let longNames: Uint8Array | undefined;
  let offset = 8;
  while (offset < bytes.length) {
    const member = readMember(bytes, offset);
    // Members begin at even offsets; the filler after the last one may be missing.
    offset = member.end + (member.end % 2);
    if (member.name === "//") longNames = member.data;
    else if (!symbolTables.has(member.name)) members.push(withLongName(member, longNames));
  }
  return members;
}

const symbolTables = new Set(["/", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED"]);

function readMember(bytes: Uint8Array, offset: number): ArMember & { end: number } {
  const header = bytes.subarray(offset, offset + 60);
  if (header.length < 60 || header[58] !== 0x60 || header[59] !== 0x0a) {
    throw arError(`has no member header at byte ${offset}`);
  }
  const name = text(header.subarray(0, 16)).trimEnd();
  const digits = text(header.subarray(48, 58)).trimEnd();
  if (!/^\d+$/.test(digits)) throw arError(`gives no size for its member ${JSON.stringify(name)}`);
  const start = offset + 60;
  const end = start + Number(digits);
  if (end > bytes.length) throw arError(`is cut short inside its member ${JSON.stringify(name)}`);
  return { name, data: bytes.subarray(start, end), end };
}

function withLongName({ name, data }: ArMember, longNames: Uint8Array | undefined): ArMember {
  const bsd = /^#1\/(\d+)$/.exec(name);
  if (bsd) {
    const length = Number(bsd[1]);
    if (length > data.length) throw arError(`has a member whose name of ${length} bytes is longer than itself`);
    return { name: text(data.subarray(0, length)).replace(/\0+$/, ""), data: data.subarray(length) };
  }
  const gnu = /^\/(\d+)$/.exec(name);
  if (!gnu) return { name: name.replace(/\/$/, ""), data };
  const start = Number(gnu[1]);
  const end = longNames?.indexOf(0x0a, start) ?? -1;
  if (!longNames || start >= longNames.length || end === -1) throw arError(`has no long name at ${start}`);
  return { name: text(longNames.subarray(start, end)).replace(/\/$/, ""), data };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function arError(what: string): SheafError {
  return new SheafError("SHEAF_AR", `the ar archive ${what}`, {
    hint: "the package is damaged: fetch it again, or report it to its publisher",
  });
}
