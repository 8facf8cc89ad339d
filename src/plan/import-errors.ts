import { SheafError } from "../errors.ts";
import type { MissingImport } from "../project/import-closure.ts";
import type { Project } from "../project/project.ts";

/** What can't be imported in an image, as errors with the chain of files that leads there. */
export function importErrors(
  missing: MissingImport[],
  { image, start, project }: { image: string; start: string[]; project: Project },
): SheafError[] {
  return missing
    .filter((each) => each.severity === "error")
    .map(({ module, chain }) => {
      const first = start[0] ?? module;
      const way = chain.map((step) => `${step.file}:${step.line}`).join(" → ");
      return new SheafError(
        "SHEAF_IMPORT",
        `${first} can't be imported in the image "${image}": it has no module ${module}`,
        {
          details: way ? [["imported by", way]] : [],
          hint: [
            ...(project.extras.length > 0
              ? [`if an extra has it: [tool.sheaf.images.${image}] extras = ["…"] (${project.extras.join(", ")})`]
              : []),
            "add its distribution to the dependencies and write the lock again",
            "import it inside the function that uses it, if this image never calls that",
            `or allow it: [tool.sheaf] allow-missing = ["${module}"]`,
          ],
        },
      );
    });
}
