import * as os from "node:os";
import * as path from "node:path";

import type { Inputs } from "./inputs.ts";
import { parseIni } from "./ini.ts";
import { readToml, table, tables, text, texts, type TomlTable } from "./toml.ts";

/** Where distributions are looked up, in one place's words. URLs may carry credentials: never show or store them. */
export interface IndexSettings {
  /** The main index. */
  default?: string;
  /** Asked besides it. */
  extra: string[];
  /** By the name that a lock or `[tool.uv.sources]` refers to. */
  named: Record<string, string>;
  /** Folders (absolute) and pages with links. */
  findLinks: string[];
  noIndex: boolean;
}

export function emptySettings(): IndexSettings {
  return { extra: [], named: {}, findLinks: [], noIndex: false };
}

/** Earlier places win the default; the others' indexes add up. */
export function mergeSettings(settings: IndexSettings[]): IndexSettings {
  const found = settings.find((setting) => setting.default !== undefined)?.default;
  const extra = unique(settings.flatMap((setting) => setting.extra));
  return {
    ...(found && { default: found }),
    extra: extra.filter((url) => url !== found),
    named: Object.assign({}, ...settings.toReversed().map((setting) => setting.named)) as Record<string, string>,
    findLinks: unique(settings.flatMap((setting) => setting.findLinks)),
    noIndex: settings.some((setting) => setting.noIndex),
  };
}

function unique(values: string[]): string[] {
  return [...new Set(values)];
}

/**
 * What this machine is set up to use: environment, then pip's configuration files, then uv's. uv's variables come before
 * pip's, because uv is the more particular of the two.
 */
export function machineSettings(inputs: Inputs): IndexSettings {
  return mergeSettings([uvEnvironment(inputs), pipEnvironment(inputs), pipFiles(inputs), uvFiles(inputs)]);
}

/** `[[tool.uv.index]]`, `[[tool.poetry.source]]`, `[[tool.pdm.source]]` of a pyproject.toml. */
export function projectSettings(pyproject: TomlTable, inputs: Inputs): IndexSettings {
  const tool = table(pyproject["tool"]);
  return mergeSettings([
    uvTable(table(tool["uv"]), inputs),
    sources(tables(table(tool["poetry"])["source"]), { inputs, tool: "POETRY" }),
    sources(tables(table(tool["pdm"])["source"]), { inputs, tool: "PDM" }),
  ]);
}

function uvEnvironment(inputs: Inputs): IndexSettings {
  const indexes = words(inputs.variable("UV_INDEX")).map((entry) => /^(?:([\w-]+)=)?(.*)$/.exec(entry));
  const named = indexes.flatMap((match) => (match?.[1] && match[2] ? [[match[1], match[2]]] : []));
  const main = inputs.variable("UV_DEFAULT_INDEX") ?? inputs.variable("UV_INDEX_URL");
  return {
    ...(main && { default: main.replace(/^[\w-]+=/, "") }),
    extra: [...indexes.flatMap((match) => match?.[2] ?? []), ...words(inputs.variable("UV_EXTRA_INDEX_URL"))],
    named: Object.fromEntries(named) as Record<string, string>,
    findLinks: linkPlaces((inputs.variable("UV_FIND_LINKS") ?? "").split(/[\s,]+/), inputs.root),
    noIndex: isTrue(inputs.variable("UV_NO_INDEX")),
  };
}

function pipEnvironment(inputs: Inputs): IndexSettings {
  const main = inputs.variable("PIP_INDEX_URL");
  return {
    ...(main && { default: main }),
    extra: words(inputs.variable("PIP_EXTRA_INDEX_URL")),
    named: {},
    findLinks: linkPlaces(words(inputs.variable("PIP_FIND_LINKS")), inputs.root),
    noIndex: isTrue(inputs.variable("PIP_NO_INDEX")),
  };
}

/** pip's files, the last of which wins: global, user, site (the virtual environment), PIP_CONFIG_FILE. */
function pipFiles(inputs: Inputs): IndexSettings {
  const configured = inputs.variable("PIP_CONFIG_FILE");
  if (configured === os.devNull) return emptySettings();
  const home = inputs.variable("HOME") ?? os.homedir();
  const userConfig = inputs.variable("XDG_CONFIG_HOME") ?? path.join(home, ".config");
  const virtualEnvironment = inputs.variable("VIRTUAL_ENV");
  const global = (inputs.variable("XDG_CONFIG_DIRS") ?? "/etc/xdg")
    .split(":")
    .map((folder) => path.join(folder, "pip", "pip.conf"));
  const files = [
    ...global,
    "/etc/pip.conf",
    path.join(home, ".pip", "pip.conf"),
    path.join(userConfig, "pip", "pip.conf"),
    ...(virtualEnvironment ? [path.join(virtualEnvironment, "pip.conf")] : []),
    ...(configured ? [configured] : []),
  ];
  const values = new Map<string, string>();
  for (const file of files) {
    const content = inputs.read(file);
    for (const section of ["global", "install"]) {
      for (const [name, value] of parseIni(content ?? "").get(section) ?? [])
        values.set(name.replaceAll("_", "-"), value);
    }
  }
  const main = values.get("index-url");
  return {
    ...(main && { default: main }),
    extra: words(values.get("extra-index-url")),
    named: {},
    findLinks: linkPlaces(words(values.get("find-links")), inputs.root),
    noIndex: isTrue(values.get("no-index")),
  };
}

function uvFiles(inputs: Inputs): IndexSettings {
  const home = inputs.variable("HOME") ?? os.homedir();
  const userConfig = inputs.variable("XDG_CONFIG_HOME") ?? path.join(home, ".config");
  const configured = inputs.variable("UV_CONFIG_FILE");
  const files = configured ? [configured] : ["uv.toml", path.join(userConfig, "uv", "uv.toml"), "/etc/uv/uv.toml"];
  return mergeSettings(files.map((file) => uvTable(readToml(inputs, file) ?? {}, inputs)));
}

function uvTable(uv: TomlTable, inputs: Inputs): IndexSettings {
  const pip = table(uv["pip"]);
  const indexes = sources(tables(uv["index"]), { inputs, tool: "UV" });
  const main = indexes.default ?? text(uv["index-url"]) ?? text(pip["index-url"]);
  return {
    ...(main && { default: main }),
    extra: [...indexes.extra, ...texts(uv["extra-index-url"]), ...texts(pip["extra-index-url"])],
    named: indexes.named,
    findLinks: linkPlaces([...texts(uv["find-links"]), ...texts(pip["find-links"])], inputs.root),
    noIndex: uv["no-index"] === true,
  };
}

/** Tables with name, url and a priority in the tool's own word. Explicit ones serve only who names them. */
function sources(entries: TomlTable[], context: { inputs: Inputs; tool: "UV" | "POETRY" | "PDM" }): IndexSettings {
  const settings = emptySettings();
  for (const entry of entries) {
    const name = text(entry["name"]) ?? "";
    const written = text(entry["url"]);
    if (!written) continue;
    const url = withEnvironmentCredentials(expand(written, context.inputs), name, context);
    if (name) settings.named[name] = url;
    const priority = text(entry["priority"]);
    if (entry["explicit"] === true || priority === "explicit") continue;
    const isDefault =
      entry["default"] === true || priority === "default" || (context.tool === "POETRY" && priority === "primary");
    if (isDefault && settings.default === undefined) settings.default = url;
    else settings.extra.push(url);
  }
  return settings;
}

function expand(url: string, inputs: Inputs): string {
  return url.replace(/\$\{(\w+)\}/g, (all, name: string) => inputs.variable(name) ?? all);
}

/** UV_INDEX_<NAME>_USERNAME and _PASSWORD, POETRY_HTTP_BASIC_<NAME>_USERNAME and _PASSWORD. */
function withEnvironmentCredentials(url: string, name: string, context: { inputs: Inputs; tool: string }): string {
  if (!name || !/^https?:/i.test(url)) return url;
  const prefix = context.tool === "UV" ? "UV_INDEX_" : "POETRY_HTTP_BASIC_";
  const key = prefix + name.toUpperCase().replace(/[^A-Z0-9]/g, "_");
  const username = context.inputs.variable(`${key}_USERNAME`);
  const password = context.inputs.variable(`${key}_PASSWORD`);
  if (username === undefined && password === undefined) return url;
  const parsed = new URL(url);
  parsed.username = encodeURIComponent(username ?? "");
  parsed.password = encodeURIComponent(password ?? "");
  return parsed.href;
}

function words(value: string | undefined): string[] {
  return (value ?? "").split(/\s+/).filter((word) => word !== "");
}

function linkPlaces(places: string[], root: string): string[] {
  return places
    .filter((place) => place !== "")
    .map((place) => (/^[a-z]+:/i.test(place) ? place : path.resolve(root, place)));
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(?:1|true|yes|on)$/i.test(value);
}
