import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import type { Image } from "../oci/image.ts";
import type { Digest } from "../store/store.ts";
import { parseByteRange, sliceChunks } from "./byte-range.ts";

/** What of an image a registry needs: any Image fits. */
export type ServedImage = Pick<Image, "digest" | "manifest" | "manifestBytes" | "configBytes" | "layers">;

export interface ServeOptions {
  /** `sheaf/demeterai-api`; an unguessable part keeps the other users of this machine out. */
  repository: string;
  tag: string;
}

export interface ImageServer {
  /** `127.0.0.1:PORT` */
  host: string;
  close(): Promise<void>;
  /** Blobs in the order in which they were sent, with the bytes that left. */
  served: { digest: Digest; bytes: number }[];
  /** How many requests have come, of any kind: 0 means that nobody has reached it. */
  readonly requests: number;
}

/**
 * A read-only registry on loopback for one image: the pull half of the OCI distribution-spec v1.1 (end-1, end-2, end-3),
 * plain HTTP, which engines accept from 127.0.0.1. Blobs are streamed from the layers; nothing is copied to disk.
 */
export async function serveImage(image: ServedImage, options: ServeOptions): Promise<ImageServer> {
  const served: ImageServer["served"] = [];
  const contents = contentsOf(image, options);
  let requests = 0;
  const server = http.createServer((request, response) => {
    requests += 1;
    // The peer closing early (an engine cancels what it turns out to have) is no failure of ours.
    answer({ request, response, contents, served }).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    served,
    get requests() {
      return requests;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Content {
  digest: Digest;
  mediaType: string;
  size: number;
  open(): AsyncIterable<Uint8Array>;
}

interface Contents {
  /** By tag and by digest. */
  manifests: Map<string, Content>;
  blobs: Map<string, Content>;
  repository: string;
}

function contentsOf(image: ServedImage, options: ServeOptions): Contents {
  const manifest: Content = {
    digest: image.digest,
    mediaType: image.manifest.mediaType ?? "application/vnd.oci.image.manifest.v1+json",
    size: image.manifestBytes.length,
    open: () => once(image.manifestBytes),
  };
  const config: Content = {
    digest: image.manifest.config.digest as Digest,
    mediaType: "application/octet-stream",
    size: image.configBytes.length,
    open: () => once(image.configBytes),
  };
  const layers = image.layers.map((layer): Content => ({
    digest: layer.digest,
    mediaType: "application/octet-stream",
    size: layer.size,
    open: () => layer.compressed(),
  }));
  return {
    repository: options.repository,
    manifests: new Map([
      [options.tag, manifest],
      [image.digest, manifest],
    ]),
    blobs: new Map([config, ...layers].map((content) => [content.digest, content])),
  };
}

interface Exchange {
  request: http.IncomingMessage;
  response: http.ServerResponse;
  contents: Contents;
  served: ImageServer["served"];
}

async function answer(exchange: Exchange): Promise<void> {
  const { request, response, contents } = exchange;
  response.setHeader("Docker-Distribution-API-Version", "registry/2.0");
  if (request.method !== "GET" && request.method !== "HEAD") {
    return refuse(response, { status: 405, code: "UNSUPPORTED", message: "this registry can only be read" });
  }
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  if (path === "/v2/" || path === "/v2") return void response.writeHead(200, { "Content-Length": 0 }).end();

  const [, repository, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
  if (!reference || repository !== contents.repository) {
    return refuse(response, { status: 404, code: "NAME_UNKNOWN", message: "no such repository" });
  }
  const content = (kind === "manifests" ? contents.manifests : contents.blobs).get(reference);
  if (!content) {
    const code = kind === "manifests" ? "MANIFEST_UNKNOWN" : "BLOB_UNKNOWN";
    return refuse(response, { status: 404, code, message: `${reference} is not in this image` });
  }
  await send(exchange, content, kind === "blobs");
}

async function send(exchange: Exchange, content: Content, isBlob: boolean): Promise<void> {
  const { request, response } = exchange;
  const range = isBlob ? parseByteRange(request.headers.range, content.size) : undefined;
  response.setHeader("Docker-Content-Digest", content.digest);
  response.setHeader("ETag", `"${content.digest}"`);
  if (isBlob) response.setHeader("Accept-Ranges", "bytes");
  if (range === "unsatisfiable") {
    return void response.writeHead(416, { "Content-Range": `bytes */${content.size}`, "Content-Length": 0 }).end();
  }
  const { start, end } = range ?? { start: 0, end: content.size };
  if (range) response.setHeader("Content-Range", `bytes ${start}-${end - 1}/${content.size}`);
  response.writeHead(range ? 206 : 200, { "Content-Type": content.mediaType, "Content-Length": end - start });
  if (request.method === "HEAD") return void response.end();

  const record = { digest: content.digest, bytes: 0 };
  if (isBlob) exchange.served.push(record);
  await pipeline(
    Readable.from(counted(sliceChunks(content.open(), start, end), record), { objectMode: false }),
    response,
  );
}

async function* counted(chunks: AsyncIterable<Uint8Array>, record: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    record.bytes += chunk.length;
    yield chunk;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The error body of distribution-spec, "Error codes". */
function refuse(response: http.ServerResponse, error: { status: number; code: string; message: string }): void {
  const body = JSON.stringify({ errors: [{ code: error.code, message: error.message }] });
  response.writeHead(error.status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
