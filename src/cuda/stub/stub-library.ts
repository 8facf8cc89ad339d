import { cudaLibraryOf } from "../libraries.ts";
import type { RandomAccess } from "../random-access.ts";
import { readInterface } from "./interface.ts";
import { writeStub } from "./write-stub.ts";

/** A stub in the place of a library. */
export interface LibraryStub {
  soname: string;
  /** As settings name the library: `cufft`. */
  name: string;
  bytes: Uint8Array;
}

/**
 * Writes the stub of one of CUDA's libraries.
 *
 * @param options.setting what brings the library back; `keep = ["cufft"]` unless given
 * @returns undefined for libraries whose statuses are not known
 * @throws SheafError SHEAF_ELF when the library is broken
 */
export async function stubLibrary(
  source: RandomAccess,
  options: { setting?: string } = {},
): Promise<LibraryStub | undefined> {
  const read = await readInterface(source);
  const library = cudaLibraryOf(read.soname);
  if (!library) return undefined;
  // Of a library for C, what C++ compilers export beside its functions is nobody's interface.
  const isForOthers = (name: string) => library.functions?.test(name) ?? !name.startsWith("_Z");
  const symbols = read.symbols.filter(({ name, kind }) => kind === "absolute" || isForOthers(name));
  const bytes = writeStub(
    { ...read, symbols },
    {
      status: library.status(read.soname),
      setting: options.setting ?? `keep = ["${library.name}"]`,
      returnsText: (name) => library.returnsText?.test(name) === true,
      returnsZero: (name) => library.returnsZero?.test(name) === true,
    },
  );
  return { soname: read.soname, name: library.name, bytes };
}
