import { createHash } from "node:crypto";

import type { FileEntry } from "../filesystem/entry.ts";
import type { ImagePlan } from "../plan/image-plan.ts";
import { normalizeName } from "../wheel/filename.ts";

/**
 * A dist-info folder for the project itself, as an installation would leave, so that `importlib.metadata` and scanners know
 * it (core metadata, and recording installed projects). Nothing when the project has no version, or the image no Python.
 */
export function projectMetadata(plan: ImagePlan): FileEntry[] {
  const { name, version } = plan.project;
  if (version === undefined || !plan.python) return [];
  const folder = `${plan.python.layout.purelib}/${normalizeName(name).replaceAll("-", "_")}-${version}.dist-info`;
  const files = new Map([
    ["INSTALLER", "sheaf\n"],
    ["METADATA", `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`],
  ]);
  const rows = [...files].map(
    ([file, text]) => `${folder.split("/").at(-1)}/${file},${recordHash(text)},${Buffer.byteLength(text)}`,
  );
  files.set("RECORD", [...rows, `${folder.split("/").at(-1)}/RECORD,,`, ""].join("\n"));
  return [...files].map(([file, text]) => ({
    type: "file",
    path: `${folder}/${file}`,
    mode: 0o644,
    uid: 0,
    gid: 0,
    content: { kind: "bytes", bytes: Buffer.from(text) },
  }));
}

function recordHash(text: string): string {
  return `sha256=${createHash("sha256").update(text).digest("base64url")}`;
}
