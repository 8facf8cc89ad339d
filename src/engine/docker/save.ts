import * as fs from "node:fs";
import { pipeline } from "node:stream/promises";

import { SheafError } from "../../errors.ts";
import { diskError, isErrno } from "../../store/store.ts";
import type { DockerApi } from "./api.ts";
import { describeEndpoint } from "./endpoint.ts";

/** Streams an image into a file, as `docker save` does (Engine API, "ImageGet"): a Docker archive, whose layers aren't compressed. */
export async function saveFromDocker(
  api: DockerApi,
  { tag, file, signal }: { tag: string; file: string; signal?: AbortSignal },
): Promise<void> {
  const response = await api.open({ method: "GET", path: `/images/${encodeURI(tag)}/get`, signal });
  try {
    await pipeline(response, fs.createWriteStream(file, { flags: "wx", highWaterMark: 2 ** 20 }), { signal });
  } catch (error) {
    if (signal?.aborted || !isErrno(error, "ECONNRESET")) throw diskError(error, file);
    throw new SheafError("SHEAF_ENGINE", `Docker at ${describeEndpoint(api.endpoint)} broke off while it sent ${tag}`, {
      hint: "its log says why: a full disk, or an image that is damaged",
      cause: error,
    });
  }
}
