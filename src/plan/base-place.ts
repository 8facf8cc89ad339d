import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import type { Engine } from "../engine/engine.ts";
import { formatReference, parseRegistryReference, type RegistryReference } from "../registry/reference.ts";

/** Where a base image is. */
export type BasePlace =
  | { kind: "file"; file: string; tag?: string }
  | { kind: "registry"; reference: RegistryReference; name: string }
  | { kind: "engine"; engine: Engine; name: string; id: string };

/**
 * Finds what a base's name means: a file, from `folder` on, or else an image in a registry. `docker-daemon:` and
 * `containers-storage:` before a name mean the image that this machine's Docker or Podman has.
 * @param source who named it, for errors
 * @throws SheafError SHEAF_BASE
 */
export async function findBase(wanted: string, folder: string, source: string): Promise<BasePlace> {
  const [, prefix, rest = ""] = /^(docker-daemon:|containers-storage:|docker:\/\/)(.+)$/.exec(wanted) ?? [];
  if (prefix === "docker-daemon:") return inEngine("docker", rest, source);
  if (prefix === "containers-storage:") return inEngine("podman", rest, source);
  const name = prefix === undefined ? wanted : rest;
  const file = prefix === undefined ? findFile(wanted, folder) : undefined;
  if (file) return file;
  const reference = /^[./~]|\.(?:tar|tgz|gz|oci)$/.test(name) ? undefined : parseRegistryReference(name);
  if (reference) return { kind: "registry", reference, name };
  throw new SheafError("SHEAF_BASE", `the base ${wanted} is not there (${source})`, {
    hint: ["check the path of the OCI layout or archive", "--base debian composes a base"],
  });
}

/** Names what would be read: the same key, the same image. A tag in a registry may come to name another one. */
export function keyOfBase(place: BasePlace): unknown[] {
  if (place.kind === "registry") return ["registry", formatReference(place.reference)];
  if (place.kind === "engine") return ["engine", place.id];
  return [place, stateOf(place.file)];
}

function findFile(wanted: string, folder: string): BasePlace | undefined {
  const file = path.resolve(folder, wanted);
  if (fs.existsSync(file)) return { kind: "file", file };
  const colon = wanted.lastIndexOf(":");
  const before = colon > 0 ? path.resolve(folder, wanted.slice(0, colon)) : undefined;
  return before !== undefined && fs.existsSync(before)
    ? { kind: "file", file: before, tag: wanted.slice(colon + 1) }
    : undefined;
}

/** A file that has the same size and times is the same; of a layout the index tells. */
function stateOf(file: string): unknown {
  const stat = fs.statSync(file);
  const { size, mtimeMs, ctimeMs, ino } = stat.isDirectory()
    ? (fs.statSync(path.join(file, "index.json"), { throwIfNoEntry: false }) ?? stat)
    : stat;
  return [size, mtimeMs, ctimeMs, ino];
}

async function inEngine(kind: Engine["kind"], name: string, source: string): Promise<BasePlace> {
  // A configuration may be anybody's: what is no name must not reach an engine's command line or API.
  if (!parseRegistryReference(name) && !/^sha256:[0-9a-f]{64}$/.test(name))
    throw new SheafError("SHEAF_BASE", `${JSON.stringify(name)} is not the name of an image (${source})`, {
      hint: `${kind} images lists what it has`,
    });
  const { findEngine } = await import("../engine/find.ts");
  const engine = await findEngine(kind);
  const id = await engine?.imageId(name);
  if (engine && id !== undefined) return { kind: "engine", engine, name, id };
  const title = kind === "docker" ? "Docker" : "Podman";
  throw new SheafError("SHEAF_BASE", `${title} ${engine ? `has no image ${name}` : "does not answer"} (${source})`, {
    hint: [`${kind} images lists what it has`, "without the prefix the base comes from its registry"],
  });
}
