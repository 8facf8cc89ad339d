export interface Frame {
  stream: "stdout" | "stderr";
  bytes: Uint8Array;
}

/**
 * Takes apart what a container without a terminal prints: frames of a stream number, three zeros, a big-endian length and the bytes
 * (Engine API, "ContainerAttach"). A frame may come in several pieces; what arrives is passed on at once.
 */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  let header = Buffer.alloc(0);
  let stream: Frame["stream"] = "stdout";
  let missing = 0;
  for await (const chunk of chunks) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    while (rest.length > 0) {
      if (missing > 0) {
        const bytes = rest.subarray(0, missing);
        missing -= bytes.length;
        rest = rest.subarray(bytes.length);
        yield { stream, bytes };
        continue;
      }
      const wanted = 8 - header.length;
      header = Buffer.concat([header, rest.subarray(0, wanted)]);
      rest = rest.subarray(wanted);
      if (header.length < 8) continue;
      stream = header[0] === 2 ? "stderr" : "stdout";
      missing = header.readUInt32BE(4);
      header = Buffer.alloc(0);
    }
  }
}
