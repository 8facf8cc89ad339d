import * as fs from "node:fs";
import * as path from "node:path";

import { isErrno } from "../store/store.ts";
import { field, parseControl, type Paragraph } from "./control.ts";

/** One archive that this machine's apt is configured with: binary packages only. */
export interface AptSource {
  /** Without a trailing slash. */
  uri: string;
  /** `bookworm`, `bookworm-security`; an exact path ends with a slash. */
  suite: string;
  components: string[];
  /** Only these architectures, when the source names any. */
  architectures?: string[];
  /** What its signature is checked with: files, fingerprints, or an armored key; apt's trusted keys when empty. */
  signedBy: SignedBy;
  /** `Valid-Until` is not looked at, because this machine's configuration says so. */
  ignoreExpiry?: boolean;
  /** `/etc/apt/sources.list.d/debian.sources:1`, with the line on which the entry begins. */
  origin: string;
  /** Why it can't be used, in words: a scheme that Sheaf does not speak. */
  unsupported?: string;
}

export interface SignedBy {
  keyrings: string[];
  fingerprints: string[];
  /** Armored public keys that stand in the source itself. */
  inline: string[];
}

/**
 * Reads apt's sources as apt does: sources.list, sources.list.d/*.list (sources.list(5), one line a source) and *.sources
 * (deb822). Entries that are disabled or of type deb-src are left out. `trusted=yes` is not honoured: what is installed must
 * be signed.
 */
export function readAptSources(root = "/"): AptSource[] {
  const folder = path.join(root, "etc/apt");
  const release = readOsRelease(root);
  const ignoreExpiry = /^\s*Acquire::Check-Valid-Until\s+"?(false|no|0)"?\s*;/im.test(readAptConfiguration(root));
  const sources = sourceFiles(folder).flatMap((file) => {
    const text = readText(file);
    if (text === undefined) return [];
    const name = `/${path.relative(root, file)}`;
    return file.endsWith(".sources") ? parseDeb822Sources(text, name) : parseOneLineSources(text, name);
  });
  return sources.map((source) => {
    const suite = source.suite.replaceAll("$(VERSION_CODENAME)", release["VERSION_CODENAME"] ?? "");
    return { ...source, suite, ...(ignoreExpiry ? { ignoreExpiry } : {}) };
  });
}

/** Parses `deb [options] uri suite components…` lines. @param name what the origin of each source is called */
export function parseOneLineSources(text: string, name: string): AptSource[] {
  return text.split("\n").flatMap((raw, index) => {
    const line = raw.replace(/#.*$/, "").trim();
    const match = /^deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)$/.exec(line);
    if (!match) return [];
    const options = parseOptions(match[1] ?? "");
    if (options.get("enabled") === "no") return [];
    return source({
      uri: match[2] ?? "",
      suite: match[3] ?? "",
      components: words(match[4]),
      architectures: options.get("arch")?.split(","),
      signedBy: options.get("signed-by")?.split(","),
      checkValidUntil: options.get("check-valid-until"),
      origin: `${name}:${index + 1}`,
    });
  });
}

/** Parses the deb822 style: every combination of URIs and Suites is one source. */
export function parseDeb822Sources(text: string, name: string): AptSource[] {
  const starts = paragraphLines(text);
  return parseControl(text).flatMap((paragraph, index) => {
    const get = (key: string) => field(paragraph, key);
    if (!words(get("Types")).includes("deb") || /^(no|false|0|off|without|disable)$/i.test(get("Enabled") ?? ""))
      return [];
    return words(get("URIs")).flatMap((uri) =>
      words(get("Suites")).flatMap((suite) =>
        source({
          uri,
          suite,
          components: words(get("Components")),
          architectures: get("Architectures") ? words(get("Architectures")) : undefined,
          signedBy: signedByWords(paragraph),
          checkValidUntil: get("Check-Valid-Until"),
          origin: `${name}:${starts[index] ?? 1}`,
        }),
      ),
    );
  });
}

/** A proxy that apt.conf names for plain http and https, when it is a simple value: `{ http: "http://proxy.example.test:3128" }`. */
export function readAptProxies(root = "/"): { http?: string; https?: string } {
  const text = readAptConfiguration(root);
  const find = (scheme: string) =>
    new RegExp(`^\\s*Acquire::${scheme}::Proxy\\s+"([^"]+)"\\s*;`, "im").exec(text)?.[1]?.replace(/^DIRECT$/i, "");
  const http = find("http");
  const https = find("https") ?? http;
  return { ...(http ? { http } : {}), ...(https ? { https } : {}) };
}

/** Fields of os-release(5) with their quotes taken off. */
export function readOsRelease(root = "/"): Record<string, string | undefined> {
  const text = readText(path.join(root, "etc/os-release")) ?? readText(path.join(root, "usr/lib/os-release")) ?? "";
  const fields: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^([A-Z0-9_]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim());
    if (match?.[1]) fields[match[1]] = match[2] ?? match[3] ?? match[4] ?? "";
  }
  return fields;
}

interface SourceParts {
  uri: string;
  suite: string;
  components: string[];
  architectures: string[] | undefined;
  signedBy: string[] | undefined;
  checkValidUntil: string | undefined;
  origin: string;
}

function source(parts: SourceParts): AptSource {
  const scheme = /^([a-z0-9+]+):/i.exec(parts.uri)?.[1]?.toLowerCase() ?? "";
  const { architectures, checkValidUntil } = parts;
  return {
    uri: parts.uri.replace(/\/+$/, ""),
    suite: parts.suite,
    components: parts.components,
    ...(architectures && architectures.length > 0 ? { architectures } : {}),
    signedBy: sortSignedBy(parts.signedBy ?? []),
    ...(/^(no|false|0)$/i.test(checkValidUntil ?? "") ? { ignoreExpiry: true } : {}),
    origin: parts.origin,
    ...(supportedSchemes.has(scheme)
      ? {}
      : { unsupported: `${scheme || "no"}: is not a scheme that Sheaf can fetch from` }),
  };
}

const supportedSchemes = new Set(["http", "https", "file", "copy"]);

function sortSignedBy(values: string[]): SignedBy {
  return {
    keyrings: values.filter((value) => value.startsWith("/")),
    fingerprints: values
      .filter((value) => /^[0-9a-f]{16,64}!?$/i.test(value))
      .map((value) => value.replace("!", "").toUpperCase()),
    inline: values.filter((value) => value.startsWith("-----BEGIN")),
  };
}

/** An inline key is indented by one space, its blank lines are written as a single dot. */
function signedByWords(paragraph: Paragraph): string[] | undefined {
  const value = field(paragraph, "Signed-By");
  if (!value?.includes("-----BEGIN")) return value === undefined ? undefined : words(value.replaceAll(",", " "));
  const lines = value.split("\n").map((line) => line.replace(/^[ \t]/, "").trimEnd());
  return [
    lines
      .map((line) => (line === "." ? "" : line))
      .join("\n")
      .trim(),
  ];
}

function parseOptions(text: string): Map<string, string> {
  return new Map(
    words(text).map((word) => {
      const [key = "", value = ""] = word.split(/=(.*)/s);
      return [key.toLowerCase().replace(/[+-]$/, ""), value] as const;
    }),
  );
}

function words(text: string | undefined): string[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "");
}

/** The line, from 1, on which each paragraph begins. */
function paragraphLines(text: string): number[] {
  const starts: number[] = [];
  let inside = false;
  for (const [index, line] of text.split("\n").entries()) {
    const blank = line.trim() === "";
    if (blank) inside = false;
    else if (!inside && /^[^#\s][^:]*:/.test(line)) {
      starts.push(index + 1);
      inside = true;
    }
  }
  return starts;
}

/** apt reads names of letters, digits, `-`, `_` and `.` only. */
function sourceFiles(folder: string): string[] {
  const parts = list(path.join(folder, "sources.list.d")).filter((name) =>
    /^[A-Za-z0-9_.-]+\.(list|sources)$/.test(name),
  );
  return [path.join(folder, "sources.list"), ...parts.map((name) => path.join(folder, "sources.list.d", name))];
}

function readAptConfiguration(root: string): string {
  const folder = path.join(root, "etc/apt");
  const parts = list(path.join(folder, "apt.conf.d")).filter((name) => /^[A-Za-z0-9_-]+(\.conf)?$/.test(name));
  const files = [...parts.map((name) => path.join(folder, "apt.conf.d", name)), path.join(folder, "apt.conf")];
  return files.map((file) => readText(file) ?? "").join("\n");
}

function list(folder: string): string[] {
  try {
    return fs.readdirSync(folder).toSorted();
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return [];
    throw error;
  }
}

function readText(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR", "EACCES"].some((code) => isErrno(error, code))) return undefined;
    throw error;
  }
}
