import { createHash } from "node:crypto";

import type { Entry, FileEntry } from "../filesystem/entry.ts";
import { formatParagraph } from "./control.ts";
import type { ControlMembers } from "./open-deb.ts";

export interface DatabaseOptions {
  name: string;
  fields: Record<string, string>;
  control: ControlMembers;
  /** What is installed of the package. */
  entries: Entry[];
}

/**
 * What scanners read of an image without dpkg's own database: `var/lib/dpkg/status.d/PACKAGE`, the control paragraph with its
 * status, and `PACKAGE.md5sums` with the sums of those files that are there.
 */
export function databaseEntries(options: DatabaseOptions): FileEntry[] {
  const { name, fields } = options;
  const { Package: _, ...rest } = fields;
  const status = formatParagraph([["Package", name], ["Status", "install ok installed"], ...Object.entries(rest)]);
  return [
    file(`var/lib/dpkg/status.d/${name}`, status),
    file(`var/lib/dpkg/status.d/${name}.md5sums`, md5sums(options)),
  ];
}

/** The package's own sums, with paths as they are after the merge of /usr; computed for packages that have none. */
function md5sums({ control, entries }: DatabaseOptions): string {
  const shipped = new Map<string, string>();
  for (const line of Buffer.from(control.get("md5sums") ?? [])
    .toString("utf8")
    .split("\n")) {
    const match = /^([0-9a-f]{32}) [ *](.+)$/.exec(line);
    if (match?.[1] && match[2]) shipped.set(match[2].replace(/^(\.?\/)+/, ""), match[1]);
  }
  const sums = entries.flatMap((entry) => {
    if (entry.type !== "file" || entry.content.kind !== "bytes") return [];
    const known = shipped.get(entry.path) ?? shipped.get(entry.path.replace(/^usr\//, ""));
    return [`${known ?? createHash("md5").update(entry.content.bytes).digest("hex")}  ${entry.path}\n`];
  });
  return sums.join("");
}

function file(path: string, text: string): FileEntry {
  return { type: "file", path, mode: 0o644, uid: 0, gid: 0, content: { kind: "bytes", bytes: Buffer.from(text) } };
}
