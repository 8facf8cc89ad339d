import { SheafError } from "../errors.ts";
import { showUrl } from "../fetch/show-url.ts";
import { flattenHeaders, type HttpResponse, type HttpTransport } from "../fetch/transport.ts";
import { isLoopback } from "./reference.ts";

export interface RegistryRequest {
  method?: "GET" | "POST";
  url: URL;
  /** `authorization` goes to the origin of `url` alone. */
  headers?: Record<string, string>;
  body?: string;
}

const mostRedirects = 5;

/**
 * One request with redirects followed, as registries send them to where blobs are kept. A redirect to another origin loses
 * `authorization`; one that leaves TLS, or leads from elsewhere to this machine, is refused.
 * @throws SheafError SHEAF_REGISTRY; network errors as undici throws them
 */
export async function exchange(transport: HttpTransport, request: RegistryRequest): Promise<HttpResponse> {
  let { url } = request;
  let headers: Record<string, string> = { "user-agent": "sheaf", ...request.headers };
  checkScheme(url);
  for (let hop = 0; hop <= mostRedirects; hop += 1) {
    const response = await transport.request(url, {
      dispatcher: transport.dispatcher,
      method: request.method ?? "GET",
      headers,
      body: request.body,
    });
    const location = response.headers["location"];
    const { statusCode: status } = response;
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined || request.method === "POST") {
      return { status, url: url.href, headers: flattenHeaders(response.headers), body: response.body };
    }
    await discard(response.body);
    const next = URL.parse(String(location), url.href);
    if (!next) throw badServer(url, "redirects to something that is no URL");
    checkTarget(next, url);
    if (next.origin !== url.origin) {
      const { authorization: _, ...others } = headers;
      headers = others;
    }
    url = next;
  }
  throw badServer(request.url, "redirects in a circle");
}

/**
 * Whether a server may send us to another address: over TLS, and not to this machine from elsewhere.
 * @throws SheafError SHEAF_REGISTRY
 */
export function checkTarget(target: URL, from: URL): void {
  if (target.username !== "" || target.password !== "") throw badServer(from, "names an address with credentials");
  if (target.protocol === "https:" && (!isLoopback(target.host) || isLoopback(from.host))) return;
  if (target.protocol === "http:" && from.protocol === "http:" && isLoopback(target.host)) return;
  throw badServer(from, `leads to ${showUrl(target.href)}, where a registry can't be`);
}

/** Throws an answer's body away; one that doesn't end soon takes its connection with it. */
export async function discard(body: HttpResponse["body"]): Promise<void> {
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > 65_536) break;
    }
  } catch {
    // What it would have said is of no use.
  } finally {
    body.destroy();
  }
}

/** Reads a body whole. @throws SheafError SHEAF_REGISTRY when it has more than `limit` bytes */
export async function readBody({ body, url }: HttpResponse, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > limit)
        throw badServer(new URL(url), `sends more than ${limit} bytes where that is the most there can be`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    body.destroy();
  }
}

export function badServer(url: URL, what: string): SheafError {
  return new SheafError("SHEAF_REGISTRY", `${url.host} ${what}`, {
    details: [["asked for", showUrl(url.href)]],
    hint: "check the image's name, and whether the host is a container registry",
  });
}

function checkScheme(url: URL): void {
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.host))) return;
  throw badServer(url, "can't be spoken to without TLS");
}
