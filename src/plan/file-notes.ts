import type { Project } from "../project/project.ts";
import type { PlanNote } from "./image-plan.ts";

/** What a person should know of the project's files: ones too large to be meant, links that lead out, names that differ by case. */
export function fileNotes({ files, withheld, notes = [] }: Project): PlanNote[] {
  const large = files.filter((file) => file.large);
  const outside = withheld.filter((file) => file.reason === "outside");
  return [
    ...large.map(({ path, size }): PlanNote => ({
      level: "warning",
      message: `${path} has ${Math.round(size / 1e6)} MB and goes into the image`,
      hint: "if it is not meant to, name it in .dockerignore",
    })),
    ...outside.map(({ path }): PlanNote => ({
      level: "warning",
      message: `${path} is a link that leads out of the project and is left out`,
    })),
    ...notes.map(({ what, source }): PlanNote => ({ level: "note", message: `${source} ${what}` })),
  ];
}
