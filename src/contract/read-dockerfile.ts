import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import { parseDockerfile } from "../project/evidence/dockerfile.ts";
import type { DockerfileFacts } from "./dockerfile-facts.ts";

/** Folders whose names say enough; what is in them is not listed. */
const opaque = new Set([".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__"]);
/** A context of more files is somebody's home folder. */
const mostFiles = 50_000;

/**
 * Reads a Dockerfile with the folder that it stands in as its context.
 * @param file as the person named it
 * @throws SheafError SHEAF_NO_DOCKERFILE
 */
export function readDockerfileFacts(file: string, folder: string): DockerfileFacts {
  const at = path.resolve(folder, file);
  let text: string;
  try {
    text = fs.readFileSync(at, "utf8");
  } catch (cause) {
    throw new SheafError("SHEAF_NO_DOCKERFILE", `${file} can't be read: ${(cause as Error).message}`, {
      hint: "check the path",
      cause,
    });
  }
  const parsed = parseDockerfile(text);
  if (parsed.stages.length === 0)
    throw new SheafError("SHEAF_NO_DOCKERFILE", `${file} is no Dockerfile: it has no FROM`, { hint: "check the path" });
  const root = path.dirname(at);
  // An ignore file of the Dockerfile's own outranks the context's (BuildKit).
  const ignore = [`${path.basename(at)}.dockerignore`, ".dockerignore"].find((name) =>
    fs.existsSync(path.join(root, name)),
  );
  return {
    file,
    parsed,
    ...(ignore === undefined
      ? {}
      : { ignore: { file: ignore, text: fs.readFileSync(path.join(root, ignore), "utf8") } }),
    context: listContext(root),
  };
}

function listContext(root: string): string[] {
  const found: string[] = [];
  const pending = [""];
  for (let folder = pending.pop(); folder !== undefined && found.length < mostFiles; folder = pending.pop()) {
    for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (!entry.isDirectory()) found.push(name);
      else if (opaque.has(entry.name)) found.push(`${name}/…`);
      else pending.push(name);
    }
  }
  return found.toSorted();
}
