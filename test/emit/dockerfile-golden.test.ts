import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { emitDockerfiles } from "../../src/emit/dockerfile/emit-dockerfile.ts";
import { authorship } from "../../src/emit/generated-file.ts";
import { output, requireOrSkip, tool } from "../lab/lab.ts";
import { kinds } from "./dockerfile-kinds.ts";

const golden = path.join(import.meta.dirname, "golden");
const hadolint = tool("hadolint");

describe.each(kinds)("the Dockerfile of a repository of kind $name", ({ name, plans }) => {
  const folder = path.join(golden, name);
  const files = emitDockerfiles(plans);

  it("is as it was (UPDATE_GOLDEN=1 writes it)", () => {
    if (process.env["UPDATE_GOLDEN"]) {
      fs.rmSync(folder, { recursive: true, force: true });
      fs.mkdirSync(folder, { recursive: true });
      for (const file of files) fs.writeFileSync(path.join(folder, goldenName(file.path)), file.text);
    }
    const there = fs.readdirSync(folder).toSorted();
    expect(there).toEqual(files.map((file) => goldenName(file.path)).toSorted());
    for (const file of files) expect(file.text).toBe(fs.readFileSync(path.join(folder, goldenName(file.path)), "utf8"));
  });

  it("carries a header that notices changes", () => {
    for (const { text } of files) {
      expect(authorship(text)).toBe("sheaf");
      expect(authorship(`${text}# more\n`)).toBe("edited");
    }
  });

  it("is near sixty lines, none too wide to read", () => {
    const lines = (files[0]?.text ?? "").split("\n");
    expect(lines.length).toBeLessThan(75);
    expect(lines.filter((line) => line.length > 155)).toEqual([]);
  });

  it.skipIf(!requireOrSkip("hadolint", hadolint))("passes hadolint (skipped without)", async () => {
    const file = path.join(folder, "Dockerfile");
    expect(await output(hadolint ?? "", ["--no-color", file])).toBe("");
  });
});

/** A file called .dockerignore would steer builds in this folder. */
function goldenName(name: string): string {
  return name.replace(/^\./, "");
}
