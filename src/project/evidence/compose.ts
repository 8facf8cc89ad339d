import { posix } from "node:path";
import type { EvidenceNote, ServiceEvidence, Sourced } from "../project.ts";
import { remembered, type ParseRecords } from "../parse-records.ts";
import { isTable, tableAt, type TomlTable } from "../toml.ts";
import { readCommand, readShellCommand, type ReadCommand } from "./command.ts";
import type { DockerfileReading } from "./dockerfile-evidence.ts";
import { byCodeUnit } from "../../order.ts";

export interface ComposeInput {
  /** Paths of the repository's compose files, in any order. */
  files: string[];
  read: (path: string) => string | undefined;
  records?: ParseRecords;
  /** Reads the Dockerfile that a service is built from; undefined when there is none. */
  dockerfile: (request: {
    file: string;
    context: string;
    target?: string;
    args: ReadonlyMap<string, string>;
  }) => DockerfileReading | undefined;
}

/** Whether a file's name is one of compose's. */
export function isComposeFile(path: string): boolean {
  return /^(?:docker-)?compose(?:[._-][\w.-]+)?\.ya?ml$/i.test(posix.basename(path));
}

/**
 * The services that are built from the repository, as its compose files give them for production: the base file with the
 * production variant over it. Development variants count only when there is nothing else. Files that are no YAML are
 * noted and left out.
 */
export async function readCompose(
  input: ComposeInput,
): Promise<{ services: ServiceEvidence[]; notes: EvidenceNote[] }> {
  const notes: EvidenceNote[] = [];
  const documents: ComposeDocument[] = [];
  for (const file of chosenFiles(input.files)) {
    const document = await parseCompose(file, input, notes);
    if (document) documents.push(document);
  }
  const services = new Map<string, Service>();
  for (const document of documents) {
    for (const name of Object.keys(tableAt(document.value, "services"))) {
      const service = await extended({ document, name, depth: 0 }, input, notes);
      const known = services.get(name);
      services.set(name, known ? merged(known, service) : service);
    }
  }
  const built = builtImages(services);
  const found = [...services].flatMap(([name, service]) => serviceEvidence(name, service, { input, built }) ?? []);
  return { services: found, notes };
}

/** Base files first, then production's over them. */
function chosenFiles(files: readonly string[]): string[] {
  const byFolder = new Map<string, string[]>();
  for (const file of files.toSorted())
    byFolder.set(posix.dirname(file), [...(byFolder.get(posix.dirname(file)) ?? []), file]);
  // The folder nearest to the root speaks for the repository.
  const folders = [...byFolder.keys()].toSorted((a, b) => depthOf(a) - depthOf(b) || byCodeUnit(a, b));
  for (const folder of folders) {
    const all = byFolder.get(folder) as string[];
    const ranked = (rank: number): string[] => all.filter((file) => rankOf(file) === rank);
    const chosen = [...ranked(RANK_BASE).slice(0, 1), ...ranked(RANK_PRODUCTION).slice(0, 1)];
    if (chosen.length > 0) return chosen;
    const [other] = [...ranked(RANK_OTHER), ...ranked(RANK_DEVELOPMENT)];
    if (other !== undefined) return [other];
  }
  return [];
}

function depthOf(folder: string): number {
  return folder === "." ? 0 : folder.split("/").length;
}

const RANK_BASE = 0;
const RANK_PRODUCTION = 1;
const RANK_OTHER = 2;
const RANK_DEVELOPMENT = 3;

function rankOf(file: string): number {
  const variant = /compose[._-]?(.*?)\.?ya?ml$/i.exec(posix.basename(file))?.[1]?.toLowerCase() ?? "";
  if (variant === "") return RANK_BASE;
  if (/\b(?:prod|production|deploy|release|live)\b/.test(variant)) return RANK_PRODUCTION;
  return /dev|local|test|ci|debug|override|tools?|infra|monitoring|traefik|db/.test(variant)
    ? RANK_DEVELOPMENT
    : RANK_OTHER;
}

interface ComposeDocument {
  file: string;
  value: TomlTable;
  /** Lines of the keys of services, as `web.command`. */
  lines: Record<string, number>;
}

const MAX_COMPOSE_BYTES = 1_000_000;

async function parseCompose(
  file: string,
  { read, records }: ComposeInput,
  notes: EvidenceNote[],
): Promise<ComposeDocument | undefined> {
  const text = read(file);
  if (text === undefined || text.length > MAX_COMPOSE_BYTES) return undefined;
  try {
    const parsed = await remembered(records, { kind: "compose", text }, () => parseYaml(text));
    return parsed && { file, ...parsed };
  } catch (error) {
    const [what = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    notes.push({ what: `is not read: ${what}`, source: file });
    return undefined;
  }
}

async function parseYaml(text: string): Promise<Omit<ComposeDocument, "file"> | undefined> {
  const { LineCounter, parseDocument, isNode, isMap } = await import("yaml");
  const counter = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: counter,
    merge: true,
    strict: false,
    uniqueKeys: false,
    logLevel: "silent",
  });
  const [error] = document.errors;
  if (error) throw error;
  const value: unknown = document.toJS({ maxAliasCount: 200 });
  if (!isTable(value)) return undefined;
  const lines: Record<string, number> = Object.create(null) as Record<string, number>;
  const services = document.get("services");
  for (const service of isMap(services) ? services.items : []) {
    for (const setting of isMap(service.value) ? service.value.items : []) {
      if (isNode(setting.key) && setting.key.range)
        lines[`${String(service.key)}.${String(setting.key)}`] = counter.linePos(setting.key.range[0]).line;
    }
  }
  return { value, lines };
}

/** A service's settings, each with the place that it was set last. */
interface Service {
  settings: TomlTable;
  places: Record<string, string>;
  /** Folder of the compose file. */
  folder: string;
}

async function extended(
  at: { document: ComposeDocument; name: string; depth: number },
  input: ComposeInput,
  notes: EvidenceNote[],
): Promise<Service> {
  const { document, name, depth } = at;
  const settings = tableAt(document.value, "services", name);
  const places: Record<string, string> = {};
  for (const key of Object.keys(settings)) {
    const line = document.lines[`${name}.${key}`];
    places[key] = line === undefined ? document.file : `${document.file}:${line}`;
  }
  const own: Service = { settings, places, folder: folderOf(document.file) };
  const base = settings["extends"];
  const baseName = typeof base === "string" ? base : isTable(base) ? base["service"] : undefined;
  if (typeof baseName !== "string" || depth > 8) return own;
  const file = isTable(base) && typeof base["file"] === "string" ? posix.join(own.folder, base["file"]) : document.file;
  const other = file === document.file ? document : await parseCompose(file, input, notes);
  if (!other || !Object.hasOwn(tableAt(other.value, "services"), baseName)) return own;
  return merged(await extended({ document: other, name: baseName, depth: depth + 1 }, input, notes), own);
}

function folderOf(file: string): string {
  const folder = posix.dirname(file);
  return folder === "." ? "" : folder;
}

function merged(base: Service, over: Service): Service {
  const settings: TomlTable = { ...base.settings };
  for (const [key, value] of Object.entries(over.settings)) {
    if (key === "environment") settings[key] = { ...environmentOf(base.settings[key]), ...environmentOf(value) };
    else if (key === "ports" && Array.isArray(value) && Array.isArray(settings[key]))
      settings[key] = [...(settings[key] as unknown[]), ...value];
    else if (key === "build" && isTable(value) && isTable(settings[key]))
      settings[key] = { ...settings[key], ...value };
    else settings[key] = value;
  }
  return { settings, places: { ...base.places, ...over.places }, folder: over.folder };
}

/** Names of images that some service builds: others may run them without building. */
function builtImages(services: ReadonlyMap<string, Service>): Map<string, Service> {
  const images = new Map<string, Service>();
  for (const service of services.values()) {
    const image = service.settings["image"];
    if (service.settings["build"] !== undefined && typeof image === "string" && !images.has(image))
      images.set(image, service);
  }
  return images;
}

function serviceEvidence(
  name: string,
  service: Service,
  { input, built }: { input: ComposeInput; built: Map<string, Service> },
): ServiceEvidence | undefined {
  const { settings, places } = service;
  const image = typeof settings["image"] === "string" ? settings["image"] : undefined;
  const builder = settings["build"] === undefined ? (image === undefined ? undefined : built.get(image)) : service;
  const profiles = Array.isArray(settings["profiles"]) ? settings["profiles"].map(String) : [];
  if (profiles.length > 0 && profiles.every((profile) => /dev|test|debug|local/.test(profile))) return undefined;
  const build = builder === undefined ? undefined : buildOf(builder);
  const reading = build && input.dockerfile(build);
  const process = processOf(service, reading);
  // Images from elsewhere count when they run a part of the app under another name.
  if (!builder && (process === undefined || process.role === "other" || process.role === "flower")) return undefined;
  let role = process?.role ?? "other";
  if (builder && role === "other") {
    if (
      reading &&
      reading.pythonVersion === undefined &&
      !/python|uv|fastapi/i.test(reading.baseImage?.value ?? "python")
    )
      return undefined;
    if (/uvicorn-gunicorn|fastapi/.test(reading?.baseImage?.value ?? "") && settings["command"] === undefined)
      role = "api";
  }
  const evidence: ServiceEvidence = { name, role, env: {}, ports: portsOf(settings["ports"], places["ports"] ?? "") };
  if (process) evidence.command = process.command;
  if (process && process.queues.length > 0) evidence.queues = process.queues;
  const workdir = settings["working_dir"];
  if (typeof workdir === "string") evidence.workdir = { value: workdir, source: places["working_dir"] ?? "" };
  else if (reading?.workdir) evidence.workdir = reading.workdir;
  readEnvironment(evidence, service);
  const health = healthOf(settings["healthcheck"]);
  if (health !== undefined) evidence.health = { value: health, source: places["healthcheck"] ?? "" };
  else if (reading?.health) evidence.health = reading.health;
  if (build) evidence.dockerfile = build.file;
  if (build?.target !== undefined) evidence.target = build.target;
  const notes = [
    ...(process?.notes ?? []),
    ...(profiles.length > 0
      ? [{ what: `is in the profile ${profiles.join(", ")}`, source: places["profiles"] ?? "" }]
      : []),
  ];
  if (notes.length > 0) evidence.notes = [...(evidence.notes ?? []), ...notes];
  return evidence;
}

function buildOf({ settings, folder }: Service): {
  file: string;
  context: string;
  target?: string;
  args: Map<string, string>;
} {
  const build = isTable(settings["build"]) ? settings["build"] : { context: settings["build"] };
  const written = typeof build["context"] === "string" ? interpolate(build["context"]) : ".";
  const context = posix.join(folder, written).replace(/\/$/, "").replace(/^\.$/, "");
  const name = typeof build["dockerfile"] === "string" ? interpolate(build["dockerfile"]) : "Dockerfile";
  const args = new Map(
    Object.entries(environmentOf(build["args"])).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, interpolate(value)] as const],
    ),
  );
  const target = typeof build["target"] === "string" ? interpolate(build["target"]) : undefined;
  return { file: posix.join(context, name), context, args, ...(target === undefined ? {} : { target }) };
}

function processOf({ settings, places }: Service, reading: DockerfileReading | undefined): ReadCommand | undefined {
  const command = wordsOf(settings["command"]);
  const entrypoint = wordsOf(settings["entrypoint"]);
  if (command === undefined && entrypoint === undefined) return reading?.process;
  const source = (command === undefined ? places["entrypoint"] : places["command"]) ?? "";
  const context = { source, script: reading?.script };
  const first = entrypoint ?? (reading?.entrypoint ? { words: reading.entrypoint.value } : undefined);
  const words = [...(first?.words ?? []), ...(command?.words ?? [])];
  if (words.length === 0) return undefined;
  // Operators in a string mean something only to a shell, which compose doesn't start: its owner wrote `sh -c` then.
  if (
    !first &&
    command?.text !== undefined &&
    /&&|\|\||;/.test(command.text) &&
    !/^(?:\S*\/)?(?:ba|da)?sh\b/.test(command.text.trim())
  ) {
    return readShellCommand(command.text, context);
  }
  return readCommand(words, context);
}

/** A command as compose takes it: a list as it is, a string split like a shell's words. */
function wordsOf(value: unknown): { words: string[]; text?: string } | undefined {
  if (Array.isArray(value)) return { words: value.map((word) => interpolate(String(word))) };
  if (typeof value !== "string") return undefined;
  const text = interpolate(value);
  return { words: splitWords(text), text };
}

function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let index = 0; index < text.length; index++) {
    const character = text[index] as string;
    if (character === "\\" && index + 1 < text.length) {
      index++;
      if (text[index] !== "\n") word = (word ?? "") + (text[index] as string);
    } else if (character === "'" || character === '"') {
      const end = text.indexOf(character, index + 1);
      const stop = end === -1 ? text.length : end;
      const inner = text.slice(index + 1, stop);
      word = (word ?? "") + (character === '"' ? inner.replaceAll(/\\(["\\$`])/g, "$1") : inner);
      index = stop;
    } else if (!/\s/.test(character)) word = (word ?? "") + character;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return word === undefined ? words : [...words, word];
}

/** Compose's variables: their defaults, since .env is never read; `$$` is a dollar. */
function interpolate(text: string): string {
  return text.replaceAll(/\$\$|\$\{\w+:?-([^{}]*)\}/g, (whole, fallback: string | undefined) =>
    whole === "$$" ? "$" : (fallback ?? ""),
  );
}

/** A map or a list of `NAME=value`; a name alone takes its value from the machine. */
function environmentOf(value: unknown): Record<string, string | undefined> {
  const entries: Record<string, string | undefined> = Object.create(null) as Record<string, string | undefined>;
  if (isTable(value)) {
    for (const [name, one] of Object.entries(value))
      entries[name] = one === null || one === undefined || typeof one === "object" ? undefined : String(one);
  } else if (Array.isArray(value)) {
    for (const item of value.map(String)) {
      const at = item.indexOf("=");
      entries[at === -1 ? item : item.slice(0, at)] = at === -1 ? undefined : item.slice(at + 1);
    }
  }
  return entries;
}

/** Values that may be secret, or that only the machine knows, are carried by name alone. */
function readEnvironment(evidence: ServiceEvidence, { settings, places }: Service): void {
  const secret: string[] = [];
  for (const [name, written] of Object.entries(environmentOf(settings["environment"]))) {
    const value = written === undefined ? undefined : interpolate(written);
    if (value === undefined || /\$\{?\w/.test(value) || isSecret(name, value)) secret.push(name);
    else evidence.env[name] = { value, source: places["environment"] ?? "" };
  }
  for (const file of [settings["env_file"]].flat()) {
    const path = isTable(file) ? file["path"] : file;
    if (typeof path === "string")
      (evidence.notes ??= []).push({
        what: `takes variables from ${path}, which is not read`,
        source: places["env_file"] ?? "",
      });
  }
  if (secret.length > 0) evidence.secretEnv = secret.toSorted();
}

/** Whether a variable's name or value looks like a secret. */
function isSecret(name: string, value: string): boolean {
  return (
    /pass(?:word|wd)?(?:$|_)|secret|token|api_?key|private|credential|_key$|dsn$/i.test(name) ||
    /:\/\/[^/\s:@]*:[^/\s@]+@/.test(value)
  );
}

function portsOf(value: unknown, source: string): Sourced<number>[] {
  const ports: Sourced<number>[] = [];
  for (const item of Array.isArray(value) ? value : []) {
    const written = isTable(item) ? String(item["target"]) : interpolate(String(item));
    const port = Number(written.replace(/\/\w+$/, "").replace(/^.*:/, ""));
    if (Number.isInteger(port) && port > 0 && port < 65_536 && !ports.some((known) => known.value === port))
      ports.push({ value: port, source });
  }
  return ports;
}

function healthOf(value: unknown): string | undefined {
  if (!isTable(value) || value["disable"] === true) return undefined;
  const { test } = value;
  if (typeof test === "string") return test;
  if (!Array.isArray(test) || test[0] === "NONE") return undefined;
  return test
    .map(String)
    .slice(test[0] === "CMD" || test[0] === "CMD-SHELL" ? 1 : 0)
    .join(" ");
}
