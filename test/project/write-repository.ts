import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";

/** Text of a file, or where a link leads, or an executable. */
export type FileSpec = string | { link: string } | { executable: string } | Uint8Array;

/** Writes a repository into a temporary folder, which goes when the tests of the file are done. */
export function writeRepository(files: Record<string, FileSpec>): string {
  const root = mkdtempSync(join(tmpdir(), "sheaf-project-"));
  written.push(root);
  for (const [path, spec] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    if (typeof spec === "string" || spec instanceof Uint8Array) writeFileSync(file, spec);
    else if ("link" in spec) symlinkSync(spec.link, file);
    else {
      writeFileSync(file, spec.executable);
      chmodSync(file, 0o755);
    }
  }
  return root;
}

const written: string[] = [];

afterAll(() => {
  for (const root of written.splice(0)) rmSync(root, { recursive: true, force: true });
});
