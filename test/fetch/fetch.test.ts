import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

import { Agent } from "undici";
import { describe, expect, it, onTestFinished, vi } from "vitest";

import type { SheafEvent } from "../../src/events.ts";
import { createFetcher } from "../../src/fetch/create-fetcher.ts";
import { showUrl } from "../../src/fetch/show-url.ts";
import type { Fetcher } from "../../src/fetch/fetcher.ts";
import { withRetries } from "../../src/fetch/retry.ts";
import { netrcCredentials, parseNetrc } from "../../src/fetch/netrc.ts";
import { httpRequest } from "../../src/fetch/transport.ts";
import { openStore, sha256, type Store } from "../../src/store/store.ts";

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, count: number) => void;

interface Bench {
  url: string;
  host: string;
  requests: http.IncomingMessage[];
  store: Store;
  fetcher: Fetcher;
  events: SheafEvent[];
}

/** A server of this machine, and a fetcher with a store of its own. */
async function bench(handler: Handler, options: { offline?: boolean; concurrency?: number } = {}): Promise<Bench> {
  const requests: http.IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    requests.push(request);
    handler(request, response, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const store = openStore(temporaryFolder());
  const events: SheafEvent[] = [];
  const fetcher = createFetcher({ store, emit: (event) => events.push(event), ...options });
  onTestFinished(async () => {
    await fetcher.close();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, requests, store, fetcher, events };
}

function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-fetch-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const content = Buffer.from("content ".repeat(100));
const request = { sha256: sha256(content).slice(7), label: "demo 1.0" };

describe("a download", () => {
  it("is checked, kept, and fetched once for all who ask at once", async () => {
    const { url, fetcher, requests, store, events } = await bench((_, response) => void response.end(content));
    const ask = () => fetcher.download({ ...request, url: `${url}/demo.whl`, size: content.length });
    const [digest, same] = await Promise.all([ask(), ask()]);
    expect(digest).toBe(sha256(content));
    expect(same).toBe(digest);
    await ask();
    expect(requests).toHaveLength(1);
    expect(store.readBlob(digest)).toEqual(content);
    expect(events.map((event) => event.type)).toEqual(["download-start", "download-end"]);
  });

  it("with another hash is refused, without the credentials in its address", async () => {
    const { host, fetcher, store } = await bench((_, response) => void response.end("something else"));
    const url = `http://me:secret@${host}/demo.whl?token=1`;
    const error = await fetcher.download({ ...request, url }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "SHEAF_HASH_MISMATCH", message: expect.stringContaining("demo 1.0") });
    expect(JSON.stringify(error)).not.toMatch(/secret|token/);
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });

  it("is tried again after what can pass, and says so", { timeout: 20_000 }, async () => {
    const { url, fetcher, requests, events } = await bench((_, response, count) => {
      if (count === 1) return void response.writeHead(503).end();
      if (count === 2) return void response.writeHead(429).end();
      response.end(content);
    });
    await fetcher.download({ ...request, url });
    expect(requests).toHaveLength(3);
    expect(events.filter((event) => event.type === "retry")).toMatchObject([
      { attempt: 1, reason: expect.stringContaining("503") },
      { attempt: 2, reason: expect.stringContaining("429") },
    ]);
  });

  it.each([401, 403, 404, 410])("is not tried again after %i", async (status) => {
    const { url, fetcher, requests } = await bench((_, response) => void response.writeHead(status).end());
    await expect(fetcher.download({ ...request, url })).rejects.toMatchObject({
      code: "SHEAF_FETCH",
      message: expect.stringContaining(String(status)),
    });
    expect(requests).toHaveLength(1);
  });

  it("is not tried again once the command is over", async () => {
    let arrived = () => {};
    const asked = new Promise<void>((resolve) => (arrived = resolve));
    const { url, events } = await bench(() => arrived());
    const agent = new Agent();
    const attempt = withRetries({ url, label: "demo 1.0", emit: (event) => events.push(event) }, () =>
      agent.request({ origin: url, path: "/", method: "GET" }),
    );
    const outcome = expect(attempt).rejects.toMatchObject({ code: "UND_ERR_DESTROYED" });
    await asked;
    await agent.destroy();
    await outcome;
    expect(events).toEqual([]);
  });

  it("of more bytes than were told ends there", async () => {
    const { url, fetcher } = await bench((_, response) => void response.end(content));
    const outcome = fetcher.download({ ...request, url, size: 10 });
    await expect(outcome).rejects.toMatchObject({ code: expect.stringMatching(/^SHEAF_(HASH_MISMATCH|FETCH)$/) });
  });

  it("from a file is checked too", async () => {
    const { fetcher } = await bench(() => {}, { offline: true });
    const file = path.join(temporaryFolder(), "a b.whl");
    fs.writeFileSync(file, content);
    expect(await fetcher.download({ ...request, url: pathToFileURL(file).href })).toBe(sha256(content));
    const other = fetcher.download({ url: pathToFileURL(file).href, sha256: "0".repeat(64), label: "x" });
    await expect(other).rejects.toMatchObject({ code: "SHEAF_HASH_MISMATCH" });
    const absent = fetcher.download({ url: "file:///nonexistent/x", sha256: "1".repeat(64), label: "x" });
    await expect(absent).rejects.toMatchObject({ code: "SHEAF_FETCH" });
  });

  it("offline names what is missing", async () => {
    const { url, fetcher, requests } = await bench((_, response) => void response.end(content), { offline: true });
    await expect(fetcher.download({ ...request, url })).rejects.toMatchObject({
      code: "SHEAF_OFFLINE",
      message: expect.stringContaining("demo 1.0"),
    });
    await expect(fetcher.get(url)).rejects.toMatchObject({ code: "SHEAF_OFFLINE" });
    expect(requests).toEqual([]);
  });

  it("waits its turn", async () => {
    let open = 0;
    let most = 0;
    const { url, fetcher } = await bench(
      (asked, response) => {
        most = Math.max(most, (open += 1));
        setTimeout(() => {
          open -= 1;
          response.end(asked.url);
        }, 20);
      },
      { concurrency: 2 },
    );
    const names = Array.from({ length: 8 }, (_, index) => `/${index}`);
    await Promise.all(
      names.map((name) => fetcher.download({ url: url + name, sha256: sha256(name).slice(7), label: name })),
    );
    expect(most).toBe(2);
  });
});

describe("a page", () => {
  it("comes with any status below 500", async () => {
    const { url, fetcher } = await bench((_, response) => void response.writeHead(404).end("none"));
    const answer = await fetcher.get(url);
    expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([404, "none"]);
  });

  it("is unpacked when the server packed it, within its bounds", async () => {
    const { url, fetcher } = await bench((asked, response) => {
      response.setHeader("content-encoding", "gzip");
      response.end(gzipSync(Buffer.alloc(asked.url === "/bomb" ? 10_000_000 : 100, "a")));
    });
    expect((await fetcher.get(url)).body).toHaveLength(100);
    await expect(fetcher.get(`${url}/bomb`, { maxBytes: 1_000_000 })).rejects.toThrow();
    await expect(fetcher.get(url, { maxBytes: 10 })).rejects.toMatchObject({ code: "SHEAF_FETCH" });
  });
});

describe("redirects and credentials", () => {
  it("sends what the address has as a header, and to no other host", async () => {
    const other = await bench((_, response) => void response.end(content));
    const first = await bench((_, response) => void response.writeHead(302, { location: `${other.url}/x` }).end());
    vi.stubEnv("NETRC", "/nonexistent");
    onTestFinished(() => void vi.unstubAllEnvs());
    const outward = other.url.replace("127.0.0.1", "localhost");
    const redirecting = await bench((_, response) => void response.writeHead(302, { location: `${outward}/x` }).end());
    await first.fetcher.download({ ...request, url: `http://me:pass@${redirecting.host}/` });
    expect(redirecting.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from("me:pass").toString("base64")}`);
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
  });

  it("takes credentials from netrc, for their own host alone", async () => {
    const file = path.join(temporaryFolder(), "netrc");
    fs.writeFileSync(file, "machine 127.0.0.1 login one password two\n");
    vi.stubEnv("NETRC", file);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { url, fetcher, requests } = await bench((_, response) => void response.end(content));
    await fetcher.get(url);
    await fetcher.get(url.replace("127.0.0.1", "localhost"));
    expect(requests.map((each) => each.headers.authorization)).toEqual([
      `Basic ${Buffer.from("one:two").toString("base64")}`,
      undefined,
    ]);
  });

  it("doesn't go round in circles, nor from TLS to plain text", async () => {
    const { url, fetcher } = await bench((_, response) => void response.writeHead(301, { location: "/again" }).end());
    await expect(fetcher.get(url)).rejects.toMatchObject({ message: expect.stringContaining("circle") });
    const answers = { statusCode: 302, headers: { location: "http://plain.example.test/" }, body: { resume() {} } };
    const transport = { request: async () => answers, close: async () => {} };
    const outcome = httpRequest(transport as never, "https://index.example.test/simple/", {});
    await expect(outcome).rejects.toMatchObject({
      code: "SHEAF_FETCH",
      message: expect.stringContaining("without TLS"),
    });
  });

  it("shows addresses without what is secret in them", () => {
    expect(showUrl("https://me:pass@index.example.test/simple/?key=1")).toBe("https://index.example.test/simple/");
    expect(showUrl("not a url //me:pass@host")).not.toContain("pass");
  });
});

describe("netrc", () => {
  it("is read as curl and Python do", () => {
    const text = [
      "# machine commented login no password no",
      "machine one.example.test",
      "  login alice password wonder#land",
      "macdef init",
      "machine inside login macro password macro",
      "",
      'machine two.example.test login "bob smith" password "a \\" quote"',
      "default login anonymous password guest",
    ].join("\n");
    expect(parseNetrc(text)).toEqual([
      { machine: "one.example.test", login: "alice", password: "wonder#land" },
      { machine: "two.example.test", login: "bob smith", password: 'a " quote' },
      { machine: undefined, login: "anonymous", password: "guest" },
    ]);
  });

  it("falls back to its default entry, and to nothing without a file", () => {
    const file = path.join(temporaryFolder(), "netrc");
    fs.writeFileSync(file, "machine a.example.test login x password y\ndefault login d password e\n");
    expect(netrcCredentials("a.example.test", { NETRC: file })).toBe("x:y");
    expect(netrcCredentials("b.example.test", { NETRC: file })).toBe("d:e");
    expect(netrcCredentials("a.example.test", { NETRC: "/nonexistent" })).toBeUndefined();
  });
});
