import { SheafError } from "../errors.ts";

/** @param entry its path; undefined when the archive as a whole is meant */
export function zipError(entry: string | undefined, what: string, cause?: unknown): SheafError {
  const subject = entry === undefined ? "the zip archive" : JSON.stringify(entry);
  return new SheafError("SHEAF_ZIP", `${subject} ${what}`, {
    details: entry === undefined ? [] : [["entry", entry]],
    hint: "the archive is damaged or forged: fetch it again, or report it to its publisher",
    cause,
  });
}
