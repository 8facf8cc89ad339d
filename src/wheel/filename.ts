import { valid as isValidVersion } from "@renovatebot/pep440";
import { SheafError } from "../errors.ts";

/** The parts of a wheel's file name, each tag set expanded: `py2.py3-none-any` has two Python tags. */
export interface WheelFilename {
  /** Normalised (PEP 503). */
  name: string;
  /** As written, a valid PEP 440 version. */
  version: string;
  /** Starts with a digit: `1`, `2local`. */
  build?: string;
  pythonTags: string[];
  abiTags: string[];
  platformTags: string[];
}

/**
 * Parses `{distribution}-{version}(-{build})?-{python}-{abi}-{platform}.whl` as the binary distribution format and
 * Python's `packaging.utils.parse_wheel_filename` do, save that empty and malformed tags are refused too.
 *
 * @throws SheafError SHEAF_WHEEL
 */
export function parseWheelFilename(filename: string): WheelFilename {
  if (!filename.endsWith(".whl")) throw malformed(filename, "the name does not end with .whl");
  const parts = filename.slice(0, -".whl".length).split("-");
  if (parts.length !== 5 && parts.length !== 6) {
    throw malformed(filename, `it has ${parts.length} parts between dashes, not 5 or 6`);
  }
  const [name = "", version = ""] = parts;
  const build = parts.length === 6 ? parts[2] : undefined;
  const [python = "", abi = "", platform = ""] = parts.slice(-3);
  if (!/^[\p{L}\p{N}_.]+$/u.test(name) || name.includes("__")) {
    throw malformed(filename, `${JSON.stringify(name)} is not an escaped project name`);
  }
  if (!isValidVersion(version)) throw malformed(filename, `${JSON.stringify(version)} is not a PEP 440 version`);
  if (build !== undefined && !/^\d[^/\0\s]*$/.test(build)) {
    throw malformed(filename, `the build tag ${JSON.stringify(build)} does not start with a digit`);
  }
  const tags = (text: string) => splitTags(text, filename);
  return {
    name: normalizeName(name),
    version,
    ...(build === undefined ? {} : { build }),
    pythonTags: tags(python),
    abiTags: tags(abi),
    platformTags: tags(platform),
  };
}

/** The one spelling of a project's name (PEP 503): lower case, runs of `-`, `_` and `.` become one dash. */
export function normalizeName(name: string): string {
  return name.replace(/[-_.]+/g, "-").toLowerCase();
}

function splitTags(text: string, filename: string): string[] {
  const tags = text.split(".");
  if (tags.every((tag) => /^\w+$/.test(tag))) return tags.map((tag) => tag.toLowerCase());
  throw malformed(filename, `${JSON.stringify(text)} is not a set of tags joined by dots`);
}

function malformed(filename: string, reason: string): SheafError {
  return new SheafError("SHEAF_WHEEL", `${JSON.stringify(filename)} is not the file name of a wheel: ${reason}`, {
    hint: "a wheel is named {distribution}-{version}(-{build})-{python}-{abi}-{platform}.whl",
  });
}
