import { SheafError } from "../errors.ts";
import type { PythonLayout } from "../filesystem/layout.ts";

/** Where one file of a wheel goes. */
export interface Destination {
  /** From the root of the image. */
  path: string;
  /** Scripts are executable and may need their first line rewritten. */
  isScript: boolean;
}

export interface Schemes {
  layout: PythonLayout;
  rootIsPurelib: boolean;
  /** The project's name as METADATA spells it: headers have a folder of that name. */
  name: string;
}

/** The folder that holds packages and the dist-info. */
export function libraryFolder({ layout, rootIsPurelib }: Schemes): string {
  return rootIsPurelib ? layout.purelib : layout.platlib;
}

/**
 * Maps a path of the wheel through the layout (binary distribution format, "spread"): `*.data/{scheme}/…` to the
 * scheme's folder, all else to purelib or platlib.
 *
 * @throws SheafError SHEAF_WHEEL for schemes that do not exist and files that lie in none
 */
export function destinationOf(path: string, schemes: Schemes): Destination {
  const [folder = "", scheme, ...rest] = path.split("/");
  if (!folder.endsWith(".data") || scheme === undefined) {
    return { path: `${libraryFolder(schemes)}/${path}`, isScript: false };
  }
  const target = schemeFolder(scheme, schemes);
  if (target === undefined || rest.length === 0) {
    throw new SheafError("SHEAF_WHEEL", `${JSON.stringify(path)} in the wheel belongs to no installation scheme`, {
      details: [["path", path]],
      hint: "files below *.data lie in purelib, platlib, scripts, data or headers",
    });
  }
  return { path: throughLinks(`${target}/${rest.join("/")}`, schemes.layout), isScript: scheme === "scripts" };
}

/** A folder of the wheel would go over a link of the same name. */
function throughLinks(path: string, { links = {} }: PythonLayout): string {
  const link = Object.keys(links).find((folder) => path.startsWith(`${folder}/`));
  return link === undefined ? path : `${links[link]}${path.slice(link.length)}`;
}

/** A path as RECORD has it: from the library folder, with `..` where it lies outside. */
export function recordPath(path: string, folder: string): string {
  if (path.startsWith(`${folder}/`)) return path.slice(folder.length + 1);
  const from = folder.split("/");
  const to = path.split("/");
  let shared = 0;
  while (shared < from.length && from[shared] === to[shared]) shared++;
  return [...from.slice(shared).map(() => ".."), ...to.slice(shared)].join("/");
}

function schemeFolder(scheme: string, { layout, name }: Schemes): string | undefined {
  switch (scheme) {
    case "purelib":
      return layout.purelib;
    case "platlib":
      return layout.platlib;
    case "scripts":
      return layout.scripts;
    case "data":
      return layout.data;
    case "headers":
      return `${layout.include}/${name}`;
    default:
      return undefined;
  }
}
