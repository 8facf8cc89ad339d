import * as path from "node:path";

import { payloadProblems } from "../cuda/check-payloads.ts";
import { readDeviceCode } from "../cuda/device-code.ts";
import { findCodeElsewhere } from "../cuda/elsewhere.ts";
import type { CodeElsewhere } from "../cuda/elsewhere.ts";
import { isNvidiaLibrary } from "../cuda/libraries.ts";
import { coverageOf, summarizeDeviceCode } from "../cuda/summary.ts";
import type { Coverage, DeviceCodeSummary } from "../cuda/summary.ts";
import { SheafError } from "../errors.ts";
import { elfFiles } from "../host/elf-files.ts";
import { withFile } from "../host/random-access-file.ts";
import { byPath } from "../order.ts";

/** A library with device code. */
export interface LibraryCode extends DeviceCodeSummary {
  /** Relative to the folder that was asked for. */
  path: string;
  /** Bytes of the file. */
  size: number;
  coverage: (Coverage & { target: number })[];
  /** Fat binaries among its data, which are never changed. */
  elsewhere: CodeElsewhere[];
}

export interface FolderCode {
  /** By path. */
  libraries: LibraryCode[];
  broken: { path: string; reason: string }[];
}

/**
 * Reads which device code the libraries of a folder, or one library, have. Symbolic links are not followed.
 *
 * @param options.targets compute capabilities to hold it against, as 86
 * @param options.check decompress all of it, and hold it against what its headers say
 */
export async function readFolderCode(
  root: string,
  { targets, check = false }: { targets: readonly number[]; check?: boolean },
): Promise<FolderCode> {
  const found: FolderCode = { libraries: [], broken: [] };
  for (const file of elfFiles(root)) {
    const relative = path.relative(root, file) || path.basename(file);
    try {
      const library = await withFile(file, async (source) => {
        const read = await readDeviceCode(source);
        const elsewhere = read || isNvidiaLibrary(file) ? await findCodeElsewhere(source) : [];
        if (!read && elsewhere.length === 0) return undefined;
        const code = read ?? { sections: [] };
        const summary = summarizeDeviceCode(code);
        const wrong = check ? await payloadProblems(source, code) : [];
        const coverage = targets.map((target) => ({ target, ...coverageOf(code, target) }));
        const unknown = [...summary.unknown, ...wrong];
        return { path: relative, size: source.size, ...summary, unknown, coverage, elsewhere };
      });
      if (library) found.libraries.push(library);
    } catch (error) {
      if (!(error instanceof SheafError)) throw error;
      found.broken.push({ path: relative, reason: error.message });
    }
  }
  return { libraries: found.libraries.sort(byPath), broken: found.broken };
}
