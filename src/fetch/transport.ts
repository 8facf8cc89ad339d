import * as fs from "node:fs";
import type { Readable } from "node:stream";
import * as tls from "node:tls";

import type { Dispatcher, request } from "undici";

import { SheafError } from "../errors.ts";
import { netrcCredentials } from "./netrc.ts";

export interface HttpTransport {
  dispatcher: Dispatcher;
  request: typeof request;
  /** Breaks off what is still under way. */
  close(): Promise<void>;
}

export interface HttpResponse {
  status: number;
  /** After redirects. */
  url: string;
  headers: Record<string, string | undefined>;
  body: Readable;
}

export interface TransportOptions {
  /** Certificates (PEM) to trust besides those of this machine. */
  authorities?: string;
  /** Hosts that are asked directly, instead of those of NO_PROXY. */
  noProxy?: string;
}

/** Opens the HTTP stack with this machine's proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) and certificates. */
export async function openTransport(
  environment: NodeJS.ProcessEnv = process.env,
  { authorities, noProxy }: TransportOptions = {},
): Promise<HttpTransport> {
  const undici = await import("undici");
  const ca = [extraCertificates(environment), authorities].filter((each) => each !== undefined).join("\n");
  // One context for all connections: to parse some three hundred certificates takes 40 ms, each time.
  const tlsOptions =
    ca === "" ? undefined : { secureContext: tls.createSecureContext({ ca: [...tls.rootCertificates, ca] }) };
  const agent = new undici.EnvHttpProxyAgent({
    ...(noProxy === undefined ? {} : { noProxy }),
    connections: 16,
    headersTimeout: 30_000,
    bodyTimeout: 60_000,
    connect: { timeout: 15_000, ...tlsOptions },
    requestTls: tlsOptions,
    proxyTls: tlsOptions,
  });
  return { dispatcher: agent, request: undici.request, close: () => agent.destroy() };
}

/**
 * One GET with redirects followed. Credentials come from the URL or netrc, anew for each host, so that a redirect never
 * carries them to another one (image-builders.md, auth and registry).
 */
export async function httpRequest(
  transport: HttpTransport,
  url: string,
  headers: Record<string, string>,
): Promise<HttpResponse> {
  let current = new URL(url);
  for (let hop = 0; hop <= 10; hop += 1) {
    const credentials = takeCredentials(current);
    const response = await transport.request(current, {
      dispatcher: transport.dispatcher,
      headers: { "user-agent": "sheaf", ...headers, ...(credentials && { authorization: basic(credentials) }) },
    });
    const location = response.headers["location"];
    if (response.statusCode < 300 || response.statusCode >= 400 || !location || response.statusCode === 304) {
      return {
        status: response.statusCode,
        url: current.href,
        headers: flattenHeaders(response.headers),
        body: response.body,
      };
    }
    response.body.resume();
    const next = new URL(String(location), current);
    if (current.protocol === "https:" && next.protocol !== "https:") {
      throw new SheafError("SHEAF_FETCH", `${current.host} redirects to ${next.host} without TLS`, {
        hint: "Sheaf doesn't follow a redirect from https to http",
      });
    }
    current = next;
  }
  throw new SheafError("SHEAF_FETCH", `${current.host} redirects in a circle`);
}

function takeCredentials(url: URL): string | undefined {
  if (!url.username && !url.password) return netrcCredentials(url.hostname);
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = "";
  url.password = "";
  return credentials;
}

function basic(credentials: string): string {
  return `Basic ${Buffer.from(credentials).toString("base64")}`;
}

/** Several values of one header as one, as RFC 9110 (5.3) has it. */
export function flattenHeaders(
  headers: Record<string, string | string[] | undefined>,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
}

/** What the distributions keep their authorities in: a company's own are there too, as curl and apt expect. */
const systemBundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
];

/** Certificates that pip and curl trust on this machine; Node reads NODE_EXTRA_CA_CERTS itself. */
function extraCertificates(environment: NodeJS.ProcessEnv): string | undefined {
  const named = ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].map((name) => environment[name]);
  const file = [...named, ...systemBundles].find(
    (each) => each && fs.statSync(each, { throwIfNoEntry: false })?.isFile(),
  );
  return file && fs.readFileSync(file, "utf8");
}
