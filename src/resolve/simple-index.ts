import * as fs from "node:fs";
import * as path from "node:path";
import { pathToFileURL } from "node:url";

import { SheafError } from "../errors.ts";
import type { Fetcher } from "../fetch/fetcher.ts";
import { normalizeName } from "../wheel/filename.ts";
import { wheelOf } from "./choose-file.ts";
import { splitCredentials } from "./credentials.ts";
import { filenameOf, parseSdistFilename, type ReleaseFile } from "./pins.ts";
import { table, tables, text } from "./toml.ts";
import { byCodeUnit } from "../order.ts";

/** A file as an index lists it. */
export interface IndexFile extends ReleaseFile {
  url: string;
  requiresPython?: string;
  /** The reason, or "" without one; undefined when it is not yanked. */
  yanked?: string;
}

const accept = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/** Pages of thousands of files, as the oldest projects have them, stay well below. */
const largestPage = 128 * 1024 * 1024;

/**
 * The page of one project in a simple repository (PEP 503 HTML, PEP 691 JSON), as files; undefined when it has none.
 * @param index URL of the index, which may carry credentials
 * @throws SheafError SHEAF_INDEX_AUTH, SHEAF_INDEX, and what the fetcher throws
 */
export async function readProjectPage(fetcher: Fetcher, index: string, name: string): Promise<IndexFile[] | undefined> {
  const shown = splitCredentials(index).url;
  const url = `${index.replace(/\/+$/, "")}/${name}/`;
  const answer = await fetcher.get(url, { headers: { accept }, maxBytes: largestPage });
  if (answer.status === 404 || answer.status === 410) return undefined;
  if (answer.status === 401 || answer.status === 403) throw authError(shown, name, answer.status);
  if (answer.status !== 200) {
    throw new SheafError("SHEAF_INDEX", `${shown} answers ${answer.status} for ${name}`, {
      hint: "is this the address of a simple index? It is the one that pip takes as --index-url",
    });
  }
  const body = Buffer.from(answer.body).toString("utf8");
  const isJson = /[/+]json\b/i.test(answer.headers["content-type"] ?? "") || /^\s*\{/.test(body);
  return isJson ? parseJsonPage(body, answer.url) : parseHtmlPage(body, answer.url);
}

function authError(shown: string, name: string, status: number): SheafError {
  const { hostname } = new URL(shown);
  return new SheafError("SHEAF_INDEX_AUTH", `${shown} refuses to show ${name} (${status})`, {
    hint: [
      `put a line into ~/.netrc: machine ${hostname} login USER password TOKEN`,
      "or set UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD for a named index",
    ],
  });
}

/** PEP 691 and its 700 additions. */
function parseJsonPage(body: string, base: string): IndexFile[] {
  let page: Record<string, unknown>;
  try {
    page = table(JSON.parse(body));
  } catch (error) {
    throw new SheafError("SHEAF_INDEX", `${splitCredentials(base).url} answers with JSON that can't be read`, {
      cause: error,
    });
  }
  return tables(page["files"]).flatMap((file) => {
    const link = absolute(text(file["url"]), base);
    if (!link) return [];
    const yanked = file["yanked"];
    const sha256 = text(table(file["hashes"])["sha256"])?.toLowerCase();
    const requiresPython = text(file["requires-python"]);
    return [
      {
        filename: text(file["filename"]) ?? filenameOf(link),
        url: link,
        ...(sha256 && { sha256 }),
        ...(typeof file["size"] === "number" && { size: file["size"] }),
        ...(requiresPython && { requiresPython }),
        ...(yanked !== undefined && yanked !== false && yanked !== null && { yanked: text(yanked) ?? "" }),
      },
    ];
  });
}

/** PEP 503 with data-requires-python and data-yanked (PEP 592). */
export function parseHtmlPage(body: string, base: string): IndexFile[] {
  const baseHref = /<base\b[^>]*\bhref\s*=\s*["']?([^"'\s>]+)/i.exec(body)?.[1];
  const root = absolute(baseHref && unescape(baseHref), base) ?? base;
  const files: IndexFile[] = [];
  for (const [, attributes = ""] of body.matchAll(/<a\b((?:[^>"']|"[^"]*"|'[^']*')*)>/gi)) {
    const values = readAttributes(attributes);
    const link = absolute(values.get("href"), root);
    if (!link) continue;
    const [url = "", fragment = ""] = link.split("#", 2);
    const sha256 = /(?:^|&)sha256=([0-9a-f]{64})/i.exec(fragment)?.[1]?.toLowerCase();
    const requiresPython = values.get("data-requires-python");
    const yanked = values.get("data-yanked");
    files.push({
      filename: filenameOf(url),
      url,
      ...(sha256 && { sha256 }),
      ...(requiresPython && { requiresPython }),
      ...(yanked !== undefined && { yanked }),
    });
  }
  return files;
}

function readAttributes(attributes: string): Map<string, string> {
  const pattern = /([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi;
  return new Map(
    Array.from(attributes.matchAll(pattern), ([, name = "", double, single, bare]) => [
      name.toLowerCase(),
      unescape(double ?? single ?? bare ?? ""),
    ]),
  );
}

const entities: Record<string, string | undefined> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescape(value: string): string {
  return value.replace(/&(#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]+);/gi, (all, entity: string) => {
    if (!entity.startsWith("#")) return entities[entity.toLowerCase()] ?? all;
    const hex = /^#x/i.test(entity);
    const code = Number.parseInt(entity.slice(hex ? 2 : 1), hex ? 16 : 10);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
}

/** Credentials of the page's own address never travel into links. */
function absolute(link: string | undefined, base: string): string | undefined {
  if (!link) return undefined;
  // The usual case, thousands of times a page: an absolute link that parsing would not change.
  if (/^https?:\/\/[^/@?#\s]+\/[\w./+!~%-]*$/.test(link) && !link.includes("/.")) return link;
  try {
    const url = new URL(link, base);
    return ["http:", "https:", "file:"].includes(url.protocol) ? splitCredentials(url.href).url : undefined;
  } catch {
    return undefined;
  }
}

/** The wheels and sdists of one project in a folder of files (pip's --find-links). */
export function readLinksFolder(folder: string, name: string): IndexFile[] {
  let names: string[];
  try {
    names = fs.readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((filename) => projectOf(filename, name) === name)
    .toSorted(byCodeUnit)
    .map((filename) => ({ filename, url: pathToFileURL(path.join(folder, filename)).href }));
}

function projectOf(filename: string, name: string): string | undefined {
  const wheel = wheelOf(filename);
  return wheel ? normalizeName(wheel.name) : parseSdistFilename(filename, name)?.name;
}
