import { describe, expect, it } from "vitest";

import { readFrames } from "../../../src/engine/docker/stream.ts";

function frame(stream: number, text: string): Buffer {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

describe("readFrames", () => {
  it("puts frames together however they are cut", async () => {
    const bytes = Buffer.concat([frame(1, "out"), frame(2, "error"), frame(1, ""), frame(1, "é".repeat(300))]);
    for (const size of [1, 2, 5, 8, 11, 10_000]) {
      const texts = { stdout: "", stderr: "" };
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      for await (const part of readFrames(from(chunks)))
        texts[part.stream] += Buffer.from(part.bytes).toString("latin1");
      expect(Buffer.from(texts.stdout, "latin1").toString()).toBe(`out${"é".repeat(300)}`);
      expect(texts.stderr).toBe("error");
    }
  });
});

async function* from(chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
