import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { parseOutput } from "../../src/cli/commands/output.ts";
import { loadCommand, summaries } from "../../src/cli/commands.ts";

describe("-o", () => {
  it("takes the types that can be written, with their destination", () => {
    expect(parseOutput("type=oci,dest=out/api")).toEqual({ type: "oci", dest: path.resolve("out/api") });
    expect(parseOutput("dest=/x/a=b.tar,type=docker")).toEqual({ type: "docker-archive", dest: "/x/a=b.tar" });
    expect(parseOutput("type=docker-archive,dest=/x.tar").type).toBe("docker-archive");
  });

  it.each(["", "oci", "type=oci", "type=tar,dest=x", "dest=x", "type=oci,dest="])("refuses %j", (text) => {
    expect(() => parseOutput(text)).toThrow(expect.objectContaining({ code: "SHEAF_OPTION" }));
  });
});

describe("every command", () => {
  it.each(Object.entries(summaries))("%s is what the list says it is", async (name, summary) => {
    const command = await loadCommand(name);
    expect(command).toMatchObject({ name, summary });
    const flags = command.options.map((option) => option.flags);
    expect(new Set(flags).size).toBe(flags.length);
    for (const option of command.options) expect(option.summary).toMatch(/^\S.*[^.]$/);
  });
});
