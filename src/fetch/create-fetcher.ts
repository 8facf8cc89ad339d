import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { SheafError } from "../errors.ts";
import { type Emit, silent } from "../events.ts";
import type { Digest, Store } from "../store/store.ts";
import { createLimit, type Limit } from "./limit.ts";
import type { Answer, DownloadRequest, Fetcher, FetcherOptions, GetOptions } from "./fetcher.ts";
import { isPassingStatus, PassingFailure, truncated, withRetries } from "./retry.ts";
import { showUrl } from "./show-url.ts";
import { httpRequest, type HttpResponse, type HttpTransport, openTransport } from "./transport.ts";

const defaultMaxBytes = 64 * 1024 * 1024;
/** A progress event for every so many bytes: enough for a smooth bar, few enough to cost nothing. */
const progressStep = 256 * 1024;

/** The Fetcher over HTTP and file: URLs. The HTTP stack is loaded with the first request, never before. */
export function createFetcher(options: FetcherOptions): Fetcher {
  return new HttpFetcher(options);
}

class HttpFetcher implements Fetcher {
  readonly offline: boolean;
  readonly #store: Store;
  readonly #emit: Emit;
  readonly #limit: Limit;
  readonly #underWay = new Map<string, Promise<Digest>>();
  #transport: Promise<HttpTransport> | undefined;

  constructor(options: FetcherOptions) {
    this.offline = options.offline ?? false;
    this.#store = options.store;
    this.#emit = options.emit ?? silent;
    this.#limit = createLimit(options.concurrency ?? 8);
  }

  async get(url: string, options: GetOptions = {}): Promise<Answer> {
    const label = options.label ?? showUrl(url);
    if (url.startsWith("file:")) return readFileUrl(url);
    this.#refuseOffline(url, label);
    const limit = options.maxBytes ?? defaultMaxBytes;
    return withRetries({ url, label, emit: this.#emit }, async () => {
      const response = await this.#request(url, options.headers);
      const chunks: Uint8Array[] = [];
      let received = 0;
      for await (const chunk of response.body) {
        received += chunk.length;
        if (received > limit) throw tooLarge(label, limit);
        chunks.push(chunk);
      }
      const { status, headers } = response;
      return { status, url: response.url, headers, body: decode(Buffer.concat(chunks), headers, limit) };
    });
  }

  download(request: DownloadRequest): Promise<Digest> {
    const digest: Digest = `sha256:${request.sha256}`;
    if (this.#store.hasBlob(digest)) return Promise.resolve(digest);
    const underWay = this.#underWay.get(digest);
    if (underWay) return underWay;
    const promise = this.#limit(() => this.#downloadNow(request, digest), request.size).finally(() =>
      this.#underWay.delete(digest),
    );
    this.#underWay.set(digest, promise);
    return promise;
  }

  async close(): Promise<void> {
    const transport = await this.#transport;
    await transport?.close();
  }

  async #downloadNow(request: DownloadRequest, digest: Digest): Promise<Digest> {
    const { url, label } = request;
    this.#emit({ type: "download-start", id: digest, label, total: request.size });
    if (url.startsWith("file:")) return this.#copyFile(request, digest);
    this.#refuseOffline(url, label);
    return withRetries({ url, label, emit: this.#emit }, async () => {
      const response = await this.#request(url);
      if (response.status !== 200) {
        response.body.resume();
        throw refused(label, url, response.status);
      }
      const received = await this.#receive(response.body, request, digest);
      this.#emit({ type: "download-end", id: digest, received, reused: false });
      return digest;
    });
  }

  async #receive(body: AsyncIterable<Uint8Array>, request: DownloadRequest, digest: Digest): Promise<number> {
    const writer = this.#store.openBlobWriter();
    let received = 0;
    let told = 0;
    try {
      for await (const chunk of body) {
        received += chunk.length;
        if (request.size !== undefined && received > request.size) break;
        writer.write(chunk);
        if (received - told < progressStep) continue;
        told = received;
        this.#emit({ type: "download-progress", id: digest, received });
      }
      if (request.size !== undefined && received < request.size) throw truncated(received, request.size);
      writer.commit(digest);
      return received;
    } catch (error) {
      writer.abort();
      throw error instanceof SheafError && error.code === "SHEAF_DIGEST" ? mismatch(request, error) : error;
    }
  }

  async #copyFile(request: DownloadRequest, digest: Digest): Promise<Digest> {
    const file = fileURLToPath(request.url);
    if (!fs.existsSync(file)) throw new SheafError("SHEAF_FETCH", `${request.label}: ${file} is not there`);
    const received = await this.#receive(fs.createReadStream(file), { ...request, size: undefined }, digest);
    this.#emit({ type: "download-end", id: digest, received, reused: false });
    return digest;
  }

  async #request(url: string, headers: Record<string, string> = {}): Promise<HttpResponse> {
    this.#transport ??= openTransport();
    const response = await httpRequest(await this.#transport, url, headers);
    if (!isPassingStatus(response.status)) return response;
    response.body.resume();
    throw new PassingFailure(`the server answered ${response.status}`);
  }

  #refuseOffline(url: string, label: string): void {
    if (!this.offline) return;
    throw new SheafError("SHEAF_OFFLINE", `${label} is not in the cache, and --offline forbids fetching it`, {
      details: [["would come from", showUrl(url)]],
      hint: "run the same command once without --offline",
    });
  }
}

/** Only what a caller asked for with accept-encoding arrives encoded; archives such as Packages.gz are left as they are. */
function decode(body: Uint8Array, headers: Answer["headers"], limit: number): Uint8Array {
  return headers["content-encoding"] === "gzip" && headers["content-type"]?.includes("gzip") !== true
    ? gunzipSync(body, { maxOutputLength: limit })
    : body;
}

function refused(label: string, url: string, status: number): SheafError {
  const hint =
    status === 401 || status === 403
      ? "put the credentials for this host into ~/.netrc, or into the index URL of pip's configuration"
      : "the file may have been removed: refresh the lock";
  return new SheafError("SHEAF_FETCH", `${label}: the server answered ${status}`, {
    details: [["from", showUrl(url)]],
    hint,
  });
}

function mismatch(request: DownloadRequest, cause: SheafError): SheafError {
  return new SheafError("SHEAF_HASH_MISMATCH", `${request.label} does not have the hash that is promised for it`, {
    details: [
      ["from", showUrl(request.url)],
      ["promised", `sha256:${request.sha256}`],
      ["received", cause.message.replace(/.* got /, "")],
    ],
    hint: [
      "if the file was published anew, write the lock again",
      "if not, somebody between here and the index changed it: don't use it",
    ],
    cause,
  });
}

function tooLarge(label: string, limit: number): SheafError {
  return new SheafError(
    "SHEAF_FETCH",
    `${label} is larger than ${Math.round(limit / 1e6)} MB, which no index of this kind is`,
  );
}

function readFileUrl(url: string): Answer {
  const file = fileURLToPath(url);
  if (!fs.existsSync(file)) return { status: 404, url, headers: {}, body: new Uint8Array() };
  return { status: 200, url, headers: {}, body: fs.readFileSync(file) };
}
