import { parse } from "@renovatebot/pep440";
import { byCodeUnit } from "../order.ts";

/** A version as PEP 440 takes it apart. */
export interface Version {
  epoch: number;
  release: number[];
  /** `["rc", 1]`. */
  pre: [letter: string, number: number] | undefined;
  post: number | undefined;
  dev: number | undefined;
  local: (string | number)[] | undefined;
}

const parsed = new Map<string, Version | undefined>();

/** Undefined when the text is no PEP 440 version. */
export function parseVersion(text: string): Version | undefined {
  if (parsed.has(text)) return parsed.get(text);
  const version = parseAnew(text);
  if (parsed.size > 50_000) parsed.clear();
  parsed.set(text, version);
  return version;
}

/** The longest text that is tried as a version: longer ones are attacks, not versions. */
const longestVersion = 256;

function parseAnew(text: string): Version | undefined {
  const trimmed = text.trim();
  if (trimmed.length > longestVersion) return undefined;
  const found = parse(trimmed);
  if (!found) return undefined;
  const pre = found.pre?.[0] === undefined ? undefined : ([String(found.pre[0]), Number(found.pre[1])] as const);
  const separator = trimmed.indexOf("+");
  return {
    epoch: found.epoch,
    release: found.release,
    pre: pre && [pre[0], pre[1]],
    post: numberOf(found.post),
    dev: numberOf(found.dev),
    local: separator < 0 ? undefined : localSegments(trimmed.slice(separator + 1)),
  };
}

function numberOf(pair: readonly (string | number)[] | null | undefined): number | undefined {
  return pair ? Number(pair[1]) : undefined;
}

function localSegments(text: string): (string | number)[] {
  return text
    .toLowerCase()
    .split(/[._-]/)
    .map((segment) => (/^\d+$/.test(segment) ? Number(segment) : segment));
}

/** The normal form: `1.0RC1` → `1.0rc1`. Undefined when it is no version. */
export function normaliseVersion(text: string): string | undefined {
  const version = parseVersion(text);
  return version && formatVersion(version);
}

export function formatVersion(version: Version): string {
  const parts = [version.epoch ? `${version.epoch}!` : "", version.release.join(".")];
  if (version.pre) parts.push(version.pre.join(""));
  if (version.post !== undefined) parts.push(`.post${version.post}`);
  if (version.dev !== undefined) parts.push(`.dev${version.dev}`);
  if (version.local) parts.push(`+${version.local.join(".")}`);
  return parts.join("");
}

export function isPrerelease(version: Version): boolean {
  return version.pre !== undefined || version.dev !== undefined;
}

/** True when both name the same release: `1.0` and `1.0.0`, `1.0+CU121` and `1.0+cu121`. */
export function sameVersion(a: string, b: string): boolean {
  if (a === b) return true;
  const [left, right] = [parseVersion(a), parseVersion(b)];
  return left !== undefined && right !== undefined && compareParsed(left, right) === 0;
}

/** PEP 440's order; what is no version sorts first, by code unit. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  if (left && right) return compareParsed(left, right);
  if (left || right) return left ? 1 : -1;
  return byCodeUnit(a, b);
}

export function compareParsed(a: Version, b: Version): number {
  return (
    a.epoch - b.epoch ||
    compareReleases(a.release, b.release) ||
    comparePre(preKey(a), preKey(b)) ||
    (a.post ?? -1) - (b.post ?? -1) ||
    // A development release sorts before what it leads to, none after.
    compareNumbers(a.dev ?? Infinity, b.dev ?? Infinity) ||
    compareLocals(a.local, b.local)
  );
}

function compareReleases(a: number[], b: number[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference) return difference;
  }
  return 0;
}

/** `1.0.dev1` comes before `1.0a1`, `1.0` and `1.0.post1` after `1.0rc1`. */
function preKey(version: Version): [string, number] {
  if (version.pre) return version.pre;
  if (version.post === undefined && version.dev !== undefined) return ["", 0];
  return ["~", 0];
}

function comparePre(a: [string, number], b: [string, number]): number {
  return byCodeUnit(a[0], b[0]) || a[1] - b[1];
}

function compareNumbers(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function compareLocals(a: Version["local"], b: Version["local"]): number {
  if (!a || !b) return Number(a !== undefined) - Number(b !== undefined);
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [left, right] = [a[index], b[index]];
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    const order = compareSegments(left, right);
    if (order) return order;
  }
  return 0;
}

/** Numbers come after words. */
function compareSegments(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return byCodeUnit(a, b);
  return typeof a === "number" ? 1 : -1;
}
