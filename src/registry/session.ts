import { SheafError } from "../errors.ts";
import { causeCode, isPassingStatus, PassingFailure, withRetries } from "../fetch/retry.ts";
import type { Emit } from "../events.ts";
import type { HttpResponse, HttpTransport } from "../fetch/transport.ts";
import { isObject } from "../oci/documents.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { badServer, checkTarget, discard, exchange, readBody } from "./exchange.ts";
import { apiHost, isLoopback } from "./reference.ts";

export interface SessionOptions {
  /** As in the image's name. */
  host: string;
  transport: HttpTransport;
  credentials(): Promise<Credentials | undefined>;
  emit: Emit;
}

/** Requests to one registry, with the proof of who asks: basic, or a token of the server that the registry names. */
export class RegistrySession {
  readonly #options: SessionOptions;
  /** Of which kind of access; a token is for one scope. */
  readonly #authorizations = new Map<string, string>();
  #credentials: Promise<Credentials | undefined> | undefined;
  #base: Promise<Base> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /**
   * A GET of a path below /v2/. What a registry can't do for a while is tried again.
   * @returns the answer with its body to be read, whatever its status but 401, 403 and those that are tried again
   * @throws SheafError SHEAF_REGISTRY, SHEAF_REGISTRY_AUTH, SHEAF_FETCH
   */
  async get(path: string, options: { scope: string; headers?: Record<string, string> }): Promise<HttpResponse> {
    const base = await (this.#base ??= this.#ping());
    const url = new URL(`/v2/${path}`, base.url);
    const { scope, headers } = options;
    if (!this.#authorizations.has(scope)) await this.#authorize(base.challenges, scope, url);
    return withRetries({ url: url.href, label: url.host, emit: this.#options.emit }, async () => {
      const first = await this.#send(url, { scope, headers });
      if (first.status !== 401) return first;
      const challenges = parseChallenges(first.headers["www-authenticate"]);
      await discard(first.body);
      // The token may have expired, or the registry asks for one only here; a second refusal is meant.
      await this.#authorize(challenges, scope, url);
      const second = await this.#send(url, { scope, headers });
      if (second.status === 401) throw await this.#denied(second);
      return second;
    });
  }

  async #send(
    url: URL,
    { scope, headers }: { scope: string; headers?: Record<string, string> },
  ): Promise<HttpResponse> {
    const authorization = this.#authorizations.get(scope);
    const response = await exchange(this.#options.transport, {
      url,
      headers: { ...headers, ...(authorization ? { authorization } : {}) },
    });
    if (response.status === 403) throw await this.#denied(response);
    if (!isPassingStatus(response.status)) return response;
    await discard(response.body);
    throw new PassingFailure(`the server answered ${response.status}`);
  }

  /** Finds out how the registry is spoken to, and what it asks for (distribution-spec, end-1). */
  async #ping(): Promise<Base> {
    const { host } = this.#options;
    try {
      return await this.#pingOver("https");
    } catch (error) {
      // Engines speak plain HTTP to this machine; only a server that doesn't know TLS is asked again without it.
      if (!isLoopback(host) || !/^(?:EPROTO|ERR_SSL_\w+)$/.test(causeCode(error) ?? "")) throw error;
      return this.#pingOver("http");
    }
  }

  async #pingOver(scheme: string): Promise<Base> {
    const { host, transport, emit } = this.#options;
    const url = new URL(`${scheme}://${apiHost(host)}/v2/`);
    const response = await withRetries({ url: url.href, label: `the registry ${host}`, emit }, async () => {
      const answer = await exchange(transport, { url }).catch((error: unknown) => {
        // Nobody learns a name within the seconds of another attempt.
        throw causeCode(error) === "ENOTFOUND" ? unknownHost(url, error) : error;
      });
      await discard(answer.body);
      if (isPassingStatus(answer.status)) throw new PassingFailure(`the server answered ${answer.status}`);
      return answer;
    });
    const { status, headers } = response;
    if (status === 401) return { url, challenges: parseChallenges(headers["www-authenticate"]) };
    if (status === 200) return { url, challenges: [] };
    throw badServer(url, `is no container registry: it answered ${status} to /v2/`);
  }

  async #authorize(challenges: readonly Challenge[], scope: string, url: URL): Promise<void> {
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const basic = challenges.find(({ scheme }) => scheme === "basic");
    this.#authorizations.delete(scope);
    if (!bearer && !basic) return;
    const credentials = await (this.#credentials ??= this.#options.credentials());
    if (credentials?.kind === "bearer") this.#authorizations.set(scope, `Bearer ${credentials.token}`);
    else if (bearer) this.#authorizations.set(scope, `Bearer ${await this.#fetchToken(bearer, scope, url)}`);
    else if (credentials?.kind === "basic") this.#authorizations.set(scope, basicOf(credentials));
    else throw notLoggedIn(this.#options.host);
  }

  /** Docker's token authentication (distribution, "Token Authentication Specification"). */
  async #fetchToken({ parameters }: Challenge, scope: string, url: URL): Promise<string> {
    const realm = URL.parse(parameters["realm"] ?? "");
    if (!realm) throw badServer(url, "asks for a token and does not say where it is to be had");
    checkTarget(realm, url);
    const credentials = await this.#credentials;
    const service = parameters["service"];
    const { transport, emit } = this.#options;
    const response = await withRetries({ url: realm.href, label: `a token of ${realm.host}`, emit }, async () => {
      const answer = await exchange(transport, tokenRequest(realm, { service, scope, credentials }));
      if (!isPassingStatus(answer.status)) return answer;
      await discard(answer.body);
      throw new PassingFailure(`the server answered ${answer.status}`);
    });
    if (response.status === 401 || response.status === 403) throw await this.#denied(response);
    const body = await readBody(response, largestToken);
    if (response.status !== 200) throw badServer(realm, `gave no token: it answered ${response.status}`);
    const token = tokenIn(body);
    if (token === undefined) throw badServer(realm, "gave no token: its answer has none");
    return token;
  }

  async #denied(response: HttpResponse): Promise<SheafError> {
    const { host } = this.#options;
    const reason = await readBody(response, largestToken).then(errorMessage, () => undefined);
    const credentials = await this.#credentials?.catch(() => undefined);
    return new SheafError("SHEAF_REGISTRY_AUTH", `${host} refused access (${response.status})`, {
      details: [
        ["asked", credentials ? "with the credentials of this machine's login" : "without credentials: there are none"],
        ...(reason === undefined ? [] : [["it says", reason] as [string, string]]),
      ],
      hint: [
        `docker login ${host}, or podman login ${host}`,
        "check the image's name: registries hide what is not there",
      ],
    });
  }
}

interface Base {
  url: URL;
  challenges: Challenge[];
}

const largestToken = 1024 * 1024;

interface TokenWish {
  service?: string;
  scope: string;
  credentials?: Credentials;
}

function tokenRequest(realm: URL, { service, scope, credentials }: TokenWish): Parameters<typeof exchange>[1] {
  if (credentials?.kind === "identity") {
    const form = { grant_type: "refresh_token", refresh_token: credentials.token, client_id: "sheaf", scope };
    return {
      method: "POST",
      url: realm,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ ...form, ...(service === undefined ? {} : { service }) }).toString(),
    };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  url.searchParams.append("scope", scope);
  if (credentials?.kind !== "basic") return { url };
  url.searchParams.set("account", credentials.username);
  return { url, headers: { authorization: basicOf(credentials) } };
}

function tokenIn(body: Buffer): string | undefined {
  const answer = parse(body);
  const token = isObject(answer) ? (answer["token"] ?? answer["access_token"]) : undefined;
  return typeof token === "string" && /^[\x21-\x7e]+$/.test(token) ? token : undefined;
}

/** What a registry says of an error (distribution-spec, "Error codes"). */
export function errorMessage(body: Buffer): string | undefined {
  const answer = parse(body);
  const errors: unknown = isObject(answer) ? answer["errors"] : undefined;
  const [first] = Array.isArray(errors) ? (errors as unknown[]) : [];
  const message = isObject(first) ? (first["message"] ?? first["code"]) : undefined;
  return typeof message === "string" && message !== "" ? message.slice(0, 300) : undefined;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

function basicOf({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function unknownHost(url: URL, cause: unknown): SheafError {
  return new SheafError("SHEAF_REGISTRY", `the host ${url.hostname} is not known here`, {
    hint: ["check the image's name", "check the network and HTTPS_PROXY"],
    cause,
  });
}

function notLoggedIn(host: string): SheafError {
  return new SheafError("SHEAF_REGISTRY_AUTH", `${host} asks for a user and a password, and there are none`, {
    hint: `docker login ${host}, or podman login ${host}`,
  });
}
