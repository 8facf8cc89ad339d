import { describe, expect, it } from "vitest";

import { KillFilter } from "../../src/engine/kill-filter.ts";

const complaint = "unshare: sigprocmask unblock failed: Invalid argument\n";

describe("KillFilter", () => {
  it("drops the complaint in any pieces and tells of it", async () => {
    for (const size of [1, 7, 1000]) {
      expect(await filter(`error: x\n${complaint}`, size)).toEqual({ text: "error: x\n", killed: true });
    }
  });

  it("passes everything else on", async () => {
    for (const text of ["", "unshare: no", "sun", `${complaint}more`, `said ${complaint}`, complaint.slice(0, -1)]) {
      for (const size of [1, 7, 1000]) expect(await filter(text, size)).toEqual({ text, killed: false });
    }
  });

  it("holds nothing back that can't be the complaint", () => {
    const stream = new KillFilter();
    stream.write("menu");
    expect(String(stream.read())).toBe("menu");
  });
});

async function filter(text: string, size: number): Promise<{ text: string; killed: boolean }> {
  const stream = new KillFilter();
  for (let offset = 0; offset < text.length; offset += size) stream.write(text.slice(offset, offset + size));
  stream.end();
  const chunks = await stream.toArray();
  return { text: Buffer.concat(chunks).toString(), killed: stream.killed };
}
