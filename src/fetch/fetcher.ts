import type { Emit } from "../events.ts";
import type { Digest, Store } from "../store/store.ts";

/** A whole answer, for indexes and metadata. */
export interface Answer {
  status: number;
  /** After redirects. */
  url: string;
  headers: Record<string, string | undefined>;
  body: Uint8Array;
}

export interface GetOptions {
  headers?: Record<string, string>;
  /** Bytes that the body may have at most, decompressed; 64 MiB unless given. */
  maxBytes?: number;
  /** What progress calls it; no progress is shown without. */
  label?: string;
}

export interface DownloadRequest {
  url: string;
  /** Lower-case hex of the SHA-256 that the bytes must have. */
  sha256: string;
  /** Bytes, when known: progress shows them and a differing length is an error. */
  size?: number;
  /** What progress and errors call it: `pillow 11.0.0`. */
  label: string;
}

/**
 * Hash-checked downloads into the store. Retries what can pass (network errors, 408, 425, 429, 5xx, short bodies), honours
 * proxies, extra CA certificates and netrc of this machine, reads `file:` URLs too, and never shows credentials.
 */
export interface Fetcher {
  readonly offline: boolean;
  /**
   * Any status below 500 is answered, 404 included.
   * @throws SheafError SHEAF_FETCH when nothing answers, SHEAF_OFFLINE when offline
   */
  get(url: string, options?: GetOptions): Promise<Answer>;
  /**
   * Returns the blob's digest; touches no network when the store has it.
   * @throws SheafError SHEAF_FETCH, SHEAF_HASH_MISMATCH, SHEAF_OFFLINE
   */
  download(request: DownloadRequest): Promise<Digest>;
  close(): Promise<void>;
}

export interface FetcherOptions {
  store: Store;
  emit?: Emit;
  offline?: boolean;
  /** Downloads under way at once, 8 unless given. */
  concurrency?: number;
}
