import type { ImagePlan } from "../../plan/image-plan.ts";
import { compileAll } from "./compile-all.ts";
import { copiesOf, type Copy } from "./copies.ts";
import type { ImageRecipe } from "./recipe.ts";
import { comment, continued, literal, shellWord } from "./words.ts";

/** A stage with the project's own files as they are to be in the image. */
export interface ProjectStage {
  stage: string;
  /** The instructions after FROM. */
  lines: string[];
  /** What an image copies from it, and where to. */
  from: string;
  to: string;
}

/** Stages of the project's files, by the image's name: one for all images that place them alike. */
export function projectStages(recipes: readonly ImageRecipe[]): Map<string, ProjectStage> {
  const byLines = new Map<string, ProjectStage>();
  const stages = new Map<string, ProjectStage>();
  for (const recipe of recipes) {
    const made = projectStage(recipe);
    const key = made.lines.join("\n");
    const known = byLines.get(key) ?? {
      ...made,
      stage: byLines.size === 0 ? "project" : `project-${recipe.stage}`,
    };
    byLines.set(key, known);
    stages.set(recipe.plan.name, known);
  }
  return stages;
}

function projectStage({ plan, install }: ImageRecipe): ProjectStage {
  const workdir = plan.config.workdir.value;
  const copies = copiesOf(plan, install.reads);
  const inside = copies.every(({ target }) => isBelow(`/${target}`, workdir));
  // Files in several places of the image are brought together under one folder, which is copied over the root.
  const root = inside ? workdir : `/project${workdir}`;
  const place = (target: string): string =>
    isBelow(`/${target}`, workdir) ? `/${target}`.slice(workdir.length + 1) || "." : `/project/${target}`;
  const lines = [
    `WORKDIR ${literal(root)}`,
    ...copies.map((copy) => copyLine(copy, place(copy.target))),
    ...continued([`RUN ${finishing(plan, install.bytecode, inside ? "." : "/project").join(" \\\n    && ")}`]),
  ];
  return { stage: "project", lines, from: inside ? workdir : "/project/", to: inside ? workdir : "/" };
}

/** Modes as planned whatever the umask was, folders that the user writes to, the project's name for importlib.metadata. */
function finishing(plan: ImagePlan, bytecode: boolean, all: string): string[] {
  const { uid, gid } = plan.user.value;
  const { name, version } = plan.project;
  const writable = writableInside(plan).map((folder) => shellWord(folder));
  const info = `${normalized(name)}-${version}.dist-info`;
  const metadata = ["Metadata-Version: 2.1", `Name: ${name}`, `Version: ${version}`].join("\\n");
  return [
    `chmod -R u=rwX,go=rX ${all}`,
    ...(bytecode ? [compileAll(all)] : []),
    ...(version === undefined
      ? []
      : [`mkdir ${shellWord(info)}`, `printf ${shellWord(`${metadata}\\n`)} >${shellWord(`${info}/METADATA`)}`]),
    ...(writable.length > 0 ? [`install -d -o ${uid} -g ${gid} ${writable.join(" ")}`] : []),
  ];
}

/** Writable folders below the working directory, from there. */
function writableInside(plan: ImagePlan): string[] {
  const workdir = plan.config.workdir.value;
  return plan.writable
    .filter((folder) => isBelow(`/${folder}`, workdir))
    .map((folder) => `/${folder}`.slice(workdir.length + 1));
}

/** Absolute paths of writable folders elsewhere. */
export function writableOutside(plan: ImagePlan): string[] {
  const workdir = plan.config.workdir.value;
  return plan.writable.map((folder) => `/${folder}`).filter((folder) => !isBelow(folder, workdir));
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || folder === "/" || path.startsWith(`${folder}/`);
}

function normalized(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, "_");
}

function copyLine({ sources, folder, renamed }: Copy, place: string): string {
  const to = `${place.replace(/\/?$/, "/")}${renamed ?? ""}`;
  const words = [...sources.map((source) => `${contextPath(source)}${folder ? "/" : ""}`), to];
  if (words.some((word) => /\s/.test(word))) return `COPY ${JSON.stringify(words)}`;
  return `COPY ${words.join(" ")}`;
}

/**
 * A source of COPY: a pattern of Go's filepath.Match, where there is something to match in it. Before, `$NAME` is expanded
 * whatever stands before it, and quotes have to be escaped or come in pairs.
 */
function contextPath(path: string): string {
  return path.replaceAll(/[*?[$]/g, "[$&]").replaceAll(/['"]/g, "[\\$&]");
}

/** Why the stage is there. */
export const projectComment = comment(
  "The project's files, named one by one; modes don't depend on who checked them out.",
);
