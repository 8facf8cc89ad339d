import { SheafError } from "../../errors.ts";
import { viewOf } from "../little-endian.ts";
import type { LibraryInterface } from "./interface.ts";
import { StringTable, symbolHash, versionDefinitions } from "./dynamic-tables.ts";
import { sectionIndices, writeElf } from "./write-elf.ts";
import { stubMachines } from "./machine-code.ts";
import type { StubFunction } from "./machine-code.ts";

export interface StubOptions {
  /** What functions return: the library's status for something that it does not support. */
  status: number;
  /** What brings the library back, as the line on stderr says it: `keep = ["cufft"]`. */
  setting: string;
  /** Functions that return the address of a text, which then says what is missing. */
  returnsText?: (name: string) => boolean;
  /** Functions that return a number which is no status, such as a version: 0. */
  returnsZero?: (name: string) => boolean;
}

/**
 * Writes a shared library that stands in for another: the same soname, the same symbols in the same versions. Its
 * functions write one line to stderr when they are first called, and return the status. It needs no other library, is
 * made of nothing but the names, and is the same for the same interface and options.
 *
 * @throws SheafError SHEAF_ELF for processors other than x86-64 and aarch64
 */
export function writeStub(library: LibraryInterface, options: StubOptions): Uint8Array {
  const machine = stubMachines[library.machine];
  if (!machine)
    throw new SheafError("SHEAF_ELF", `no stub can be written for ${library.soname}: machine ${library.machine}`);
  const names = new StringTable();
  const soname = names.add(library.soname);
  const symbolNames = library.symbols.map(({ name }) => names.add(name));
  const versions = versionDefinitions(library.versions, names);
  const functions = [...new Set(library.symbols.filter(({ kind }) => kind === "function").map(({ name }) => name))];
  const texts = writeTexts(library, functions, options);

  const symbols = new Uint8Array((library.symbols.length + 1) * symbolSize);
  const indices = new Uint8Array((library.symbols.length + 1) * 2);
  const code = new Uint8Array(machine.commonSize + functions.length * machine.entrySize);
  const objects = placeObjects(library, functions.length);
  return writeElf({
    machine: library.machine,
    pageSize: machine.pageSize,
    soname,
    tables: {
      hash: symbolHash(library.symbols.map(({ name }) => name)),
      symbols,
      strings: names.bytes(),
      ...(versions ? { indices, versions } : {}),
      texts: texts.bytes,
    },
    versionCount: library.versions.length,
    code,
    zeros: objects.size,
    // Addresses are known when everything has its size: they are filled in before the file is put together.
    finish: ({ texts: textsAt, code: codeAt, zeros: zerosAt }) => {
      code.set(machine.common(), 0);
      const entries = new Map<string, number>();
      functions.forEach((name, index) => {
        const at = machine.commonSize + index * machine.entrySize;
        const message = texts.messages[index] ?? { offset: 0, size: 0 };
        const stub: StubFunction = {
          message: { address: textsAt + message.offset, size: message.size },
          flag: zerosAt + index,
          result: resultOf(name, { options, text: textsAt + texts.missing }),
        };
        code.set(machine.entry(codeAt + at, codeAt, stub), at);
        entries.set(name, codeAt + at);
      });
      library.symbols.forEach((symbol, index) => {
        const { name, kind, size, isWeak, version } = symbol;
        writeSymbol(viewOf(symbols), (index + 1) * symbolSize, {
          name: symbolNames[index] ?? 0,
          info: ((isWeak ? 2 : 1) << 4) | (kind === "function" ? 2 : 1),
          section: kind === "absolute" ? 0xfff1 : kind === "function" ? "code" : "zeros",
          value:
            kind === "function" ? (entries.get(name) ?? 0) : kind === "object" ? zerosAt + (objects.at[index] ?? 0) : 0,
          size: kind === "function" ? machine.entrySize : size,
        });
        viewOf(indices).setUint16((index + 1) * 2, version, true);
      });
    },
  });
}

function resultOf(name: string, { options, text }: { options: StubOptions; text: number }): StubFunction["result"] {
  if (options.returnsText?.(name)) return { text };
  return { status: options.returnsZero?.(name) ? 0 : options.status };
}

/** One line for each function, and the text that stands for those of errors. */
function writeTexts(
  { soname }: LibraryInterface,
  functions: readonly string[],
  { setting }: StubOptions,
): { bytes: Uint8Array; messages: { offset: number; size: number }[]; missing: number } {
  const missing = Buffer.from(`${soname} was left out of this image; ${setting} brings it back\0`);
  const parts: Uint8Array[] = [missing];
  let offset = missing.length;
  const messages = functions.map((name) => {
    const line = Buffer.from(
      `sheaf: ${shortened(name)} was called, but ${soname} was left out of this image; ${setting} brings it back\n`,
    );
    const message = { offset, size: line.length };
    parts.push(line);
    offset += line.length;
    return message;
  });
  return { bytes: Buffer.concat(parts), messages, missing: 0 };
}

/** Mangled names can have thousands of characters. */
function shortened(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}

/** Objects are zeros, behind the bytes that say which functions were called. */
function placeObjects({ symbols }: LibraryInterface, flags: number): { at: (number | undefined)[]; size: number } {
  let size = flags;
  const at = symbols.map((symbol) => {
    if (symbol.kind !== "object") return undefined;
    const start = Math.ceil(size / 64) * 64;
    size = start + symbol.size;
    return start;
  });
  return { at, size };
}

function writeSymbol(
  view: DataView,
  at: number,
  symbol: { name: number; info: number; section: number | "code" | "zeros"; value: number; size: number },
): void {
  const { name, info, section, value, size } = symbol;
  view.setUint32(at, name, true);
  view.setUint8(at + 4, info);
  view.setUint16(at + 6, typeof section === "number" ? section : sectionIndices[section], true);
  view.setBigUint64(at + 8, BigInt(value), true);
  view.setBigUint64(at + 16, BigInt(size), true);
}

const symbolSize = 24;
