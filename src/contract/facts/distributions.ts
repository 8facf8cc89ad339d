import { SheafError } from "../../errors.ts";
import { type EntryPoint, parseEntryPoints } from "../../wheel/entry-points.ts";
import { normalizeName } from "../../wheel/filename.ts";
import { parseHeaders } from "../../wheel/headers.ts";
import { parseRecord, type RecordRow } from "../../wheel/record.ts";
import { byCodeUnit } from "../../order.ts";
import { type ImageFacts, textOf } from "./image-facts.ts";

/** A Python distribution as its metadata describe it. */
export interface InstalledDistribution {
  /** Normalised. */
  name: string;
  version: string;
  /** Folder that it is installed in: `usr/local/lib/python3.12/site-packages`. */
  folder: string;
  /** Its dist-info or egg-info, from the root. */
  info: string;
  /** As written. */
  requires: string[];
  /** Rows of RECORD with paths from the root; undefined when there is none. */
  record?: RecordRow[];
  /** Why RECORD or entry_points.txt can't be read. */
  broken?: string;
  entryPoints: EntryPoint[];
  /** URL of what it was installed from, when that was no index, and whether it was installed as a pointer to it. */
  directUrl?: { url: string; editable: boolean };
}

/** Every distribution in every site-packages and dist-packages of the image. */
export function installedDistributions(facts: ImageFacts): InstalledDistribution[] {
  const found: InstalledDistribution[] = [];
  for (const [path, file] of facts.files) {
    const info = /^(.*\/(?:site|dist)-packages)\/([^/]+\.dist-info)\/METADATA$/.exec(path);
    const egg = info ? null : /^(.*\/(?:site|dist)-packages)\/([^/]+\.egg-info)(?:\/PKG-INFO)?$/.exec(path);
    const [, folder = "", name = ""] = info ?? egg ?? [];
    const text = textOf(file);
    if (name === "" || text === undefined) continue;
    found.push(read(facts, { folder, info: `${folder}/${name}` }, text));
  }
  return found.toSorted((a, b) => byCodeUnit(a.info, b.info));
}

type Place = Pick<InstalledDistribution, "folder" | "info">;

function read(facts: ImageFacts, { folder, info }: Place, metadata: string): InstalledDistribution {
  const { headers } = parseHeaders(Buffer.from(metadata));
  const [, name = "", version = ""] = /([^/]+?)-([^/-]+?)(?:-py\d[\d.]*)?\.(?:dist|egg)-info$/.exec(info) ?? [];
  const base: InstalledDistribution = {
    name: normalizeName(headers.get("name")?.[0] ?? name),
    version: headers.get("version")?.[0] ?? version,
    folder,
    info,
    requires: headers.get("requires-dist") ?? [],
    entryPoints: [],
  };
  try {
    const record = facts.text(`${info}/RECORD`);
    const points = facts.text(`${info}/entry_points.txt`);
    const url = facts.text(`${info}/direct_url.json`);
    return {
      ...base,
      ...(record === undefined ? {} : { record: rowsFromRoot(record, folder) }),
      entryPoints: points === undefined ? [] : parseEntryPoints(points),
      ...(url === undefined ? {} : { directUrl: directUrl(url) }),
    };
  } catch (error) {
    if (error instanceof SheafError) return { ...base, broken: error.message };
    throw error;
  }
}

function rowsFromRoot(record: string, folder: string): RecordRow[] {
  return parseRecord(record).map((row) => ({ ...row, path: fromRoot(row.path, folder) }));
}

/** RECORD names scripts as `../../../bin/uvicorn`, and some files by their absolute path. */
function fromRoot(path: string, folder: string): string {
  const segments: string[] = path.startsWith("/") ? [] : folder.split("/");
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return segments.join("/");
}

/** PEP 610. What is no such document says nothing. */
function directUrl(text: string): NonNullable<InstalledDistribution["directUrl"]> {
  try {
    const value = JSON.parse(text) as { url?: unknown; dir_info?: { editable?: unknown } } | null;
    return { url: typeof value?.url === "string" ? value.url : "", editable: value?.dir_info?.editable === true };
  } catch {
    return { url: "", editable: false };
  }
}
