import { describe, expect, it } from "vitest";

import { KillFilter } from "../../src/engine/kill-filter.ts";

const complaint = "unshare: sigprocmask unblock failed: Invalid argument\n";

describe("KillFilter", () => {
  it("drops the complaint in its pieces and tells of it", async () => {
    const pieces = ["unshare: ", "sigprocmask unblock failed", ": ", "Invalid argument\n"];
    for (const text of [["error: x\n", ...pieces], ["error: ", "x\n", complaint], [`error: x\n${complaint}`]]) {
      expect(await filter(text)).toEqual({ text: "error: x\n", killed: true });
    }
    expect(await filter(["no end of line", ...pieces])).toEqual({ text: "no end of line", killed: true });
  });

  it("passes everything else on", async () => {
    for (const text of ["", "unshare: no", "unshare: unshare: ", `${complaint}more`, complaint.slice(0, -1)]) {
      const half = text.length >> 1;
      expect(await filter([text])).toEqual({ text, killed: false });
      expect(await filter([text.slice(0, half), text.slice(half)])).toEqual({ text, killed: false });
    }
  });

  it("holds nothing back that can't be the complaint", () => {
    const stream = new KillFilter();
    stream.write("menu");
    expect(String(stream.read())).toBe("menu");
  });
});

async function filter(pieces: string[]): Promise<{ text: string; killed: boolean }> {
  const stream = new KillFilter();
  for (const piece of pieces) stream.write(piece);
  stream.end();
  const chunks = await stream.toArray();
  return { text: Buffer.concat(chunks).toString(), killed: stream.killed };
}
