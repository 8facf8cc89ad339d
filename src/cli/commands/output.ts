import * as path from "node:path";

import { SheafError } from "../../errors.ts";
import type { Image } from "../../oci/image.ts";

/** What `-o` asks for. */
export interface OutputTarget {
  type: "oci" | "docker-archive";
  dest: string;
}

/** Parses `type=oci,dest=DIR` and `type=docker-archive,dest=FILE` (`type=docker` is Docker's name for the latter). */
export function parseOutput(text: string): OutputTarget {
  const fields = new Map(text.split(",").map((part) => [part.split("=")[0] ?? "", part.slice(part.indexOf("=") + 1)]));
  const type = fields.get("type") === "docker" ? "docker-archive" : fields.get("type");
  const dest = fields.get("dest");
  if ((type === "oci" || type === "docker-archive") && dest) return { type, dest: path.resolve(dest) };
  throw new SheafError("SHEAF_OPTION", `-o ${JSON.stringify(text)} can't be read`, {
    hint: ["-o type=oci,dest=DIR", "-o type=docker-archive,dest=FILE.tar"],
  });
}

export interface OutputRequest {
  image: Image;
  references: string[];
  /** Folder of its own when several images are written at once. */
  subfolder?: string;
}

/** Writes an image out of the store; returns a line that says where it is. */
export async function writeOutput(
  target: OutputTarget,
  { image, references, subfolder }: OutputRequest,
): Promise<string> {
  if (target.type === "docker-archive") {
    const { writeDockerArchive } = await import("../../oci/docker-archive.ts");
    await writeDockerArchive(target.dest, image, references);
    return `written to ${shown(target.dest)}: docker load -i ${shown(target.dest)}`;
  }
  const { writeLayout } = await import("../../oci/layout.ts");
  const directory = subfolder ? path.join(target.dest, subfolder) : target.dest;
  await writeLayout(directory, image, { tag: references[0]?.split(":").at(-1) });
  return `written to ${shown(directory)}`;
}

function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith("..") ? file : relative || ".";
}
