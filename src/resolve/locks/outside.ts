import { SheafError } from "../../errors.ts";

/** The error for a local package that the project's folder doesn't hold. */
export function outsideError(name: string, directory: string): SheafError {
  return new SheafError("SHEAF_SOURCE", `${name} lies outside the project, in ${directory}`, {
    hint: "build from the folder that holds both, or move it into the repository",
  });
}
