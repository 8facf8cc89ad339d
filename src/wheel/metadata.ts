import { SheafError } from "../errors.ts";
import { parseHeaders } from "./headers.ts";

/** What Sheaf reads of a distribution's METADATA (core metadata, versions 1.0 to 2.x). */
export interface WheelMetadata {
  /** As written by the author. */
  name: string;
  version: string;
  /** Dependency specifiers (PEP 508) in the order of the file. */
  requiresDist: string[];
  requiresPython?: string;
  providesExtra: string[];
  summary?: string;
}

/** What the WHEEL file says about the archive. */
export interface WheelInfo {
  wheelVersion: [major: number, minor: number];
  rootIsPurelib: boolean;
  /** Compressed or expanded tags as written: `py3-none-any`. */
  tags: string[];
  build?: string;
}

/** @throws SheafError SHEAF_WHEEL without a name or a version */
export function parseMetadata(bytes: Uint8Array): WheelMetadata {
  const { headers } = parseHeaders(bytes);
  const required = (field: string): string => {
    const value = headers.get(field.toLowerCase())?.[0];
    if (value) return value;
    throw new SheafError("SHEAF_WHEEL", `METADATA has no ${field} field`, {
      hint: "the wheel is broken: rebuild it, or pin another release",
    });
  };
  const optional = (field: string): string | undefined => {
    const value = headers.get(field)?.[0];
    return value === undefined || value === "" || value === "UNKNOWN" ? undefined : value;
  };
  const requiresPython = optional("requires-python");
  const summary = optional("summary");
  return {
    name: required("Name"),
    version: required("Version"),
    requiresDist: headers.get("requires-dist") ?? [],
    ...(requiresPython === undefined ? {} : { requiresPython }),
    providesExtra: headers.get("provides-extra") ?? [],
    ...(summary === undefined ? {} : { summary }),
  };
}

/**
 * Reads the WHEEL file. A newer minor version is accepted as the specification asks, a newer major one is not.
 *
 * @throws SheafError SHEAF_WHEEL
 */
export function parseWheelInfo(bytes: Uint8Array): WheelInfo {
  const { headers } = parseHeaders(bytes);
  const version = headers.get("wheel-version")?.[0];
  const match = version === undefined ? null : /^(\d{1,4})\.(\d{1,4})$/.exec(version);
  if (!match) {
    throw new SheafError("SHEAF_WHEEL", `the WHEEL file has no valid Wheel-Version (${JSON.stringify(version ?? "")})`);
  }
  const major = Number(match[1]);
  if (major !== 1) {
    throw new SheafError("SHEAF_WHEEL", `the wheel has format version ${version}; Sheaf installs version 1`, {
      hint: "pin a release that ships a wheel of format 1",
    });
  }
  const build = headers.get("build")?.[0];
  return {
    wheelVersion: [major, Number(match[2])],
    rootIsPurelib: headers.get("root-is-purelib")?.[0]?.toLowerCase() === "true",
    tags: headers.get("tag") ?? [],
    ...(build === undefined ? {} : { build }),
  };
}
