import * as fs from "node:fs";
import * as path from "node:path";

import { didYouMean } from "../did-you-mean.ts";
import { SheafError } from "../errors.ts";
import {
  type Dockerfile,
  dockerWords,
  findStage,
  parseDockerfile,
  type Stage,
} from "../project/evidence/dockerfile.ts";
import type { DockerfileFacts } from "./dockerfile-facts.ts";

/** Folders whose names say enough; what is in them is not listed. */
const opaque = new Set([".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__"]);
/** A context of more files is somebody's home folder. */
const mostFiles = 50_000;

/** Where a Dockerfile and its build context are, absolute. */
export interface DockerfilePlace {
  at: string;
  root: string;
}

/**
 * Finds a Dockerfile and the folder that its COPY instructions mean: its own, or the one that the name counts from where more of
 * what they copy is there, as with `docker build -f docker/Dockerfile .`
 * @param file as the person named it, from `folder`
 * @throws SheafError SHEAF_NO_DOCKERFILE
 */
export function locateDockerfile(file: string, folder: string): DockerfilePlace {
  const at = path.resolve(folder, file);
  const sources = copiedPaths(parseDockerfile(readText(at, file)));
  const found = (root: string) => sources.filter((source) => fs.existsSync(path.join(root, source))).length;
  const own = path.dirname(at);
  return { at, root: found(folder) > found(own) ? path.resolve(folder) : own };
}

/**
 * Reads a Dockerfile with its build context.
 * @param file as the person named it, from `folder`
 * @param target name or number of the stage that was built
 * @throws SheafError SHEAF_NO_DOCKERFILE
 */
export function readDockerfileFacts(file: string, folder: string, target?: string): DockerfileFacts {
  const { at, root } = locateDockerfile(file, folder);
  const parsed = parseDockerfile(readText(at, file));
  if (parsed.stages.length === 0)
    throw new SheafError("SHEAF_NO_DOCKERFILE", `${file} is no Dockerfile: it has no FROM`, { hint: "check the path" });
  // An ignore file of the Dockerfile's own, which lies beside it, outranks the context's (BuildKit).
  const ignore = [`${at}.dockerignore`, path.join(root, ".dockerignore")].find((name) => fs.existsSync(name));
  const stage = target === undefined ? undefined : stageOf(parsed, target, file);
  return {
    file,
    parsed,
    ...(stage ? { target: stage } : {}),
    ...(ignore === undefined
      ? {}
      : { ignore: { file: path.relative(root, ignore), text: fs.readFileSync(ignore, "utf8") } }),
    context: listContext(root),
  };
}

function stageOf(parsed: Dockerfile, target: string, file: string): Stage {
  const found = findStage(parsed, target);
  if (found) return found;
  const names = parsed.stages.flatMap(({ name }) => name ?? []);
  const near = didYouMean(target, names);
  throw new SheafError("SHEAF_NO_DOCKERFILE", `${file} has no stage ${JSON.stringify(target)}`, {
    details: names.length > 0 ? [["it has", names.join(", ")]] : [],
    hint: near === undefined ? "leave --target out for the last stage" : `--target ${near}`,
  });
}

function readText(at: string, file: string): string {
  try {
    return fs.readFileSync(at, "utf8");
  } catch (cause) {
    throw new SheafError("SHEAF_NO_DOCKERFILE", `${file} can't be read: ${(cause as Error).message}`, {
      hint: "check the path",
      cause,
    });
  }
}

/** What is copied from the context, as far as it is a plain path. */
function copiedPaths({ instructions, escape }: Dockerfile): string[] {
  return instructions
    .filter(({ keyword, flags }) => /^(?:COPY|ADD)$/.test(keyword) && flags["from"] === undefined)
    .flatMap(({ json, text }) => (json ?? dockerWords(text, escape)).slice(0, -1))
    .filter((source) => !/[*?[$]|^<<|:\/\//.test(source));
}

function listContext(root: string): string[] {
  const found: string[] = [];
  const pending = [""];
  for (let folder = pending.pop(); folder !== undefined && found.length < mostFiles; folder = pending.pop()) {
    for (const entry of entriesOf(path.join(root, folder))) {
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (!entry.isDirectory()) found.push(name);
      else if (opaque.has(entry.name)) found.push(`${name}/…`);
      else pending.push(name);
    }
  }
  return found.toSorted();
}

/** What a build can't read is nothing that it copies. */
function entriesOf(folder: string): fs.Dirent[] {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
