import { createHash } from "node:crypto";

import { SheafError } from "../errors.ts";
import { type Emit, silent } from "../events.ts";
import { Retries, truncated, withRetries } from "../fetch/retry.ts";
import { type HttpResponse, openTransport } from "../fetch/transport.ts";
import { chooseImage, noSuchPlatform } from "../oci/choose-image.ts";
import { imageError, isObject, parseIndex, parseJson, parseManifest } from "../oci/documents.ts";
import type { Image } from "../oci/image.ts";
import { imageFromManifest } from "../oci/open-image.ts";
import { type Descriptor, isIndexType, isManifestType, mediaTypes } from "../oci/types.ts";
import { hostPlatform, type Platform } from "../platform.ts";
import { type Digest, sha256 } from "../store/store.ts";
import { registryCredentials } from "./credentials.ts";
import { badServer, discard, readBody } from "./exchange.ts";
import { formatReference, isLoopback, type RegistryReference } from "./reference.ts";
import { registryAuthorities } from "./authorities.ts";
import { errorMessage, RegistrySession } from "./session.ts";

export interface PullOptions {
  /** Which image of an index is meant: that of this machine unless given. Another one by itself is refused when it is given. */
  platform?: Platform;
  environment?: NodeJS.ProcessEnv;
  emit?: Emit;
}

export interface PulledImage {
  image: Image;
  /** Of what the name stands for: the index where there is one, else the manifest. */
  digest: Digest;
  /** Ends the connections; layers can't be read any more. */
  close(): Promise<void>;
}

/**
 * Opens an image in a registry (OCI distribution-spec 1.1, "Pull"). Manifest and config are fetched and checked against their
 * digests; layers are fetched when they are read, each time anew, and checked as they stream by.
 * @throws SheafError SHEAF_REGISTRY, SHEAF_REGISTRY_AUTH, SHEAF_FETCH, SHEAF_IMAGE
 */
export async function pullImage(reference: RegistryReference, options: PullOptions = {}): Promise<PulledImage> {
  const { environment = process.env, emit = silent, platform } = options;
  const transport = await openTransport(environment, {
    authorities: registryAuthorities(reference.host, environment),
    noProxy: directHosts(reference.host, environment),
  });
  const { host, repository } = reference;
  const credentials = () => registryCredentials(host, repository, environment);
  const source = new Repository(reference, new RegistrySession({ host, transport, credentials, emit }), emit);
  try {
    const root = await source.manifest(reference.digest ?? reference.tag ?? "latest");
    const manifest = await chosenManifest(source, root, platform);
    const { config } = parseManifest(manifest.bytes, source.name);
    checkConfigType(source.name, config);
    const image = imageFromManifest(manifest.bytes, await source.read(config), (layer) => source.layer(layer));
    if (platform && image.platform.architecture !== platform.architecture)
      throw noSuchPlatform(source.name, platform, [image.platform.architecture ?? "unknown"]);
    let closed: Promise<void> | undefined;
    return { image, digest: root.digest, close: () => (closed ??= transport.close()) };
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** A proxy can't reach this machine by the name that it has for itself. */
function directHosts(host: string, environment: NodeJS.ProcessEnv): string {
  const named = environment["no_proxy"] ?? environment["NO_PROXY"];
  const own = isLoopback(host) ? [host.replace(/:\d+$/, "")] : [];
  return [...(named ? [named] : []), "localhost", "127.0.0.1", "::1", ...own].join(",");
}

interface FetchedManifest {
  bytes: Uint8Array;
  digest: Digest;
  mediaType: string;
}

/** An index may hold indexes, each for one platform; not more than this deep. */
const deepestIndex = 3;

async function chosenManifest(
  repository: Repository,
  root: FetchedManifest,
  platform: Platform | undefined,
): Promise<FetchedManifest> {
  let current = root;
  for (let depth = 0; isIndexType(current.mediaType); depth += 1) {
    if (depth === deepestIndex) throw imageError(`${repository.name} holds indexes in indexes in indexes`);
    const { manifests } = parseIndex(current.bytes, repository.name);
    const wanted = platform ?? (manifests.length > 1 ? hostPlatform() : undefined);
    current = await repository.manifest(chooseImage(repository.name, manifests, { platform: wanted }).digest);
  }
  return current;
}

/** distribution-spec: registries need not take larger manifests than 4 MiB, and nothing needs them. */
const largestManifest = 4 * 1024 * 1024;
const largestConfig = 16 * 1024 * 1024;

/** A progress event for every so many bytes. */
const progressStep = 1024 * 1024;

const manifestTypes = [mediaTypes.index, mediaTypes.manifest, mediaTypes.dockerManifestList, mediaTypes.dockerManifest];

/** The pull half of one repository's API. */
class Repository {
  /** The image as errors call it. */
  readonly name: string;
  readonly #reference: RegistryReference;
  readonly #session: RegistrySession;
  readonly #emit: Emit;

  constructor(reference: RegistryReference, session: RegistrySession, emit: Emit) {
    this.name = formatReference(reference);
    this.#reference = reference;
    this.#session = session;
    this.#emit = emit;
  }

  /** end-3. @param wanted a tag or a digest */
  async manifest(wanted: string): Promise<FetchedManifest> {
    const what = { url: this.name, label: this.name, emit: this.#emit };
    const { response, bytes } = await withRetries(what, async () => {
      const response = await this.#get(`manifests/${wanted}`, { accept: manifestTypes.join(", ") });
      if (response.status !== 200) throw await this.#notThere(response, wanted);
      return { response, bytes: await readBody(response, largestManifest) };
    });
    const digest = sha256(bytes);
    const promised = wanted.startsWith("sha256:") ? wanted : response.headers["docker-content-digest"];
    if (promised?.startsWith("sha256:") && promised !== digest) throw wrongDigest(this.name, promised, digest);
    return { bytes, digest, mediaType: manifestType(bytes, response.headers["content-type"], this.name) };
  }

  /** A small blob, whole. */
  async read(descriptor: Descriptor): Promise<Uint8Array> {
    if (descriptor.size > largestConfig) throw imageError(`${this.name} has a config of ${descriptor.size} bytes`);
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.blob(descriptor)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** A blob, and events of how much of it has come. */
  async *layer(descriptor: Descriptor): AsyncGenerator<Uint8Array, void, void> {
    const { digest: id, size: total } = descriptor;
    this.#emit({ type: "download-start", id, label: `layer ${id.slice(7, 19)}`, total });
    let received = 0;
    let told = 0;
    try {
      for await (const chunk of this.blob(descriptor)) {
        received += chunk.length;
        if (received - told >= progressStep) this.#emit({ type: "download-progress", id, received: (told = received) });
        yield chunk;
      }
    } finally {
      this.#emit({ type: "download-end", id, received, reused: false });
    }
  }

  /** end-2: a blob's bytes, no more than promised, and an error at the end when they aren't what the digest names. */
  async *blob({ digest, size }: Descriptor): AsyncGenerator<Uint8Array, void, void> {
    const hash = createHash("sha256");
    const retries = new Retries({ url: `${this.name} ${digest}`, label: digest.slice(0, 19), emit: this.#emit });
    let received = 0;
    for (let complete = false; !complete;) {
      try {
        for await (const chunk of this.#blobFrom(digest, received)) {
          received += chunk.length;
          if (received > size) throw wrongSize(this.name, digest, size);
          hash.update(chunk);
          yield chunk;
        }
        if (received < size) throw truncated(received, size);
        complete = true;
      } catch (error) {
        // All that was promised has come: the connection's end says nothing about it.
        complete = received === size && size > 0 && !(error instanceof SheafError);
        if (!complete) await retries.afterFailure(error);
      }
    }
    const actual: Digest = `sha256:${hash.digest("hex")}`;
    if (actual !== digest) throw wrongDigest(this.name, digest, actual);
  }

  async *#blobFrom(digest: Digest, start: number): AsyncGenerator<Uint8Array, void, void> {
    const response = await this.#get(`blobs/${digest}`, start > 0 ? { range: `bytes=${start}-` } : {});
    if (response.status !== 200 && response.status !== 206) throw await this.#notThere(response, digest);
    // A server may ignore the range: what is known already is passed over.
    let known = response.status === 206 ? 0 : start;
    try {
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        const fresh = chunk.subarray(Math.min(known, chunk.length));
        known -= chunk.length - fresh.length;
        if (fresh.length > 0) yield fresh;
      }
    } finally {
      response.body.destroy();
    }
  }

  async #get(path: string, headers: Record<string, string>): Promise<HttpResponse> {
    const { repository } = this.#reference;
    return this.#session.get(`${repository}/${path}`, { scope: `repository:${repository}:pull`, headers });
  }

  async #notThere(response: HttpResponse, wanted: string): Promise<SheafError> {
    const { status, url } = response;
    if (status !== 404) {
      await discard(response.body);
      return badServer(new URL(url), `answered ${status} for ${wanted}`);
    }
    const reason = await readBody(response, 65_536).then(errorMessage, () => undefined);
    const { host, repository } = this.#reference;
    return new SheafError("SHEAF_REGISTRY", `${host} has no ${wanted} of ${repository}`, {
      details: reason === undefined ? [] : [["it says", reason]],
      hint: "check the name and the tag",
    });
  }
}

/**
 * What a document is. It says so itself, or its header does; where both do they have to agree, and one that could be read both
 * ways is refused (OCI advisory GHSA-mc8v-mgrf-8f4m).
 */
function manifestType(bytes: Uint8Array, header: string | undefined, name: string): string {
  const document = parseJson(bytes, name);
  if (!isObject(document)) throw imageError(`${name} is not a JSON object`);
  const isIndex = document["manifests"] !== undefined;
  if (document["schemaVersion"] === 1)
    throw imageError(`${name} has a manifest of Docker's first schema, which is obsolete`);
  if (isIndex && (document["layers"] !== undefined || document["config"] !== undefined))
    throw imageError(`${name} is an index and a manifest at once, which nobody should believe`);
  const own = document["mediaType"];
  const announced = header?.split(";", 1)[0]?.trim();
  for (const type of [own, announced]) {
    if (typeof type !== "string" || !(isIndexType(type) || isManifestType(type))) continue;
    if (isIndexType(type) !== isIndex) throw imageError(`${name} says that it is ${type}, and is not`);
  }
  if (typeof own === "string" && !isIndexType(own) && !isManifestType(own))
    throw imageError(`${name} is no image, but ${own}`);
  return isIndex ? mediaTypes.index : mediaTypes.manifest;
}

/** Charts, signatures and other artifacts have manifests too. */
function checkConfigType(name: string, { mediaType }: Descriptor): void {
  if (mediaType === mediaTypes.config || mediaType === mediaTypes.dockerConfig) return;
  throw imageError(`${name} is no container image: its config is ${mediaType}`);
}

function wrongDigest(name: string, promised: string, actual: string): SheafError {
  return new SheafError("SHEAF_DIGEST", `${name}: what came is not what its digest names`, {
    details: [
      ["promised", promised],
      ["received", actual],
    ],
    hint: "somebody between here and the registry changed it, or the registry is damaged: don't use it",
  });
}

function wrongSize(name: string, digest: string, size: number): SheafError {
  return new SheafError("SHEAF_DIGEST", `${name}: more than the ${size} bytes came that ${digest} has`, {
    hint: "somebody between here and the registry changed it, or the registry is damaged: don't use it",
  });
}
