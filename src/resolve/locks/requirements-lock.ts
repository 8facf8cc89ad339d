import * as fs from "node:fs";
import * as path from "node:path";
import { pathToFileURL } from "node:url";

import { SheafError } from "../../errors.ts";
import { normalizeName } from "../../wheel/filename.ts";
import { wheelOf } from "../choose-file.ts";
import type { Inputs } from "../inputs.ts";
import { evaluateMarker, markerEnvironment } from "../markers.ts";
import { filenameOf, type LockReading, mergePins, parseSdistFilename, type Pin, sha256Of } from "../pins.ts";
import { readPyproject } from "../pyproject.ts";
import { hideCredentials, type RequirementEntry, type RequirementsSet } from "../requirements.ts";
import type { LocalPackage, Target } from "../resolution.ts";
import { pinnedVersion, satisfies } from "../specifiers.ts";
import { sameVersion } from "../pep440.ts";

interface RequirementsReading extends LockReading {
  /** Requirements without an exact version: only a resolver can say what they mean. */
  unpinned: RequirementEntry[];
}

/**
 * What requirements files pin for one target. Local folders become local packages; URLs and wheels in the repository are pins
 * with one file.
 * @throws SheafError SHEAF_REQUIREMENTS, SHEAF_SOURCE
 */
export function readRequirementsLock(
  set: RequirementsSet,
  context: { files: string[]; inputs: Inputs; target: Target; projectName: string },
): RequirementsReading {
  const environment = markerEnvironment(context.target);
  const pins: Pin[] = [];
  const localPackages: LocalPackage[] = [];
  const unpinned: RequirementEntry[] = [];
  for (const entry of set.entries) {
    const { requirement } = entry;
    if (requirement?.marker && !evaluateMarker(requirement.marker, environment)) continue;
    const location = entry.location ?? requirement?.url;
    if (location !== undefined) {
      const found = readLocation(location, entry, context.inputs);
      if ("directory" in found) localPackages.push(found);
      else pins.push(found);
      continue;
    }
    const version = requirement && pinnedVersion(requirement.specifiers);
    if (requirement === undefined || version === undefined) {
      unpinned.push(entry);
      continue;
    }
    pins.push({
      name: requirement.name,
      version,
      files: [],
      hashes: entry.hashes,
      source: entry.source,
      requiredBy: entry.via.map(normalizeName),
    });
  }
  const merged = mergePins(pins);
  refuseContradictions(merged);
  refuseConstraintConflicts(merged, set, context.target);
  return {
    source: context.files.join(", "),
    locked:
      unpinned.length === 0 && merged.every((pin) => pin.hashes.length > 0 || pin.files.some((file) => file.sha256)),
    pins: merged,
    localPackages: localPackages.filter(
      (local) => local.directory !== "" || local.name !== normalizeName(context.projectName),
    ),
    warnings: [],
    unpinned,
  };
}

function readLocation(location: string, entry: RequirementEntry, inputs: Inputs): Pin | LocalPackage {
  if (/^(?:git|hg|svn|bzr)\+/i.test(location)) {
    throw new SheafError("SHEAF_SOURCE", `${entry.source} asks for a repository, which has no hash to check`, {
      details: [["repository", hideCredentials(location)]],
      hint: "build its wheel (uv build, pip wheel), put it into the repository and ask for it by its path",
    });
  }
  if (/^https?:/i.test(location)) return urlPin(location, entry);
  const place = location.startsWith("file:") ? decodeURIComponent(location.replace(/^file:(?:\/\/)?/, "")) : location;
  const absolute = path.resolve(inputs.root, place);
  const found = fs.statSync(absolute, { throwIfNoEntry: false });
  if (!found) {
    throw new SheafError("SHEAF_REQUIREMENTS", `there is no ${place}`, { details: [["in", entry.source]] });
  }
  if (found.isDirectory()) return localPackage(absolute, entry, inputs);
  const bytes = inputs.readBytes(place);
  const url = pathToFileURL(absolute).href;
  return filePin({ url, size: bytes?.length }, entry);
}

function urlPin(location: string, entry: RequirementEntry): Pin {
  const [url = location, fragment = ""] = location.split("#", 2);
  const sha256 = sha256Of(fragment.split("&").find((part) => part.startsWith("sha256=")));
  return filePin({ url, ...(sha256 && { sha256 }) }, entry);
}

function filePin(file: { url: string; sha256?: string; size?: number }, entry: RequirementEntry): Pin {
  const filename = filenameOf(file.url);
  const wheel = wheelOf(filename);
  const name = wheel?.name ?? entry.requirement?.name;
  const version = wheel?.version ?? (name === undefined ? undefined : parseSdistFilename(filename, name)?.version);
  if (name === undefined || version === undefined) {
    throw new SheafError(
      "SHEAF_SOURCE",
      `${JSON.stringify(filename)} is neither a wheel nor an sdist with name and version`,
      {
        details: [["in", entry.source]],
      },
    );
  }
  const sha256 = file.sha256 ?? (entry.hashes.length === 1 ? entry.hashes[0] : undefined);
  return {
    name,
    version,
    files: [{ filename, ...file, ...(sha256 && { sha256 }) }],
    hashes: entry.hashes,
    direct: true,
    source: entry.source,
    requiredBy: entry.via.map(normalizeName),
  };
}

function localPackage(absolute: string, entry: RequirementEntry, inputs: Inputs): LocalPackage {
  const directory = path.relative(inputs.root, absolute).split(path.sep).join("/");
  if (directory.startsWith("..")) {
    throw new SheafError("SHEAF_SOURCE", `${entry.source} asks for ${directory}, which lies outside the project`, {
      hint: "build from the folder that holds both",
    });
  }
  const pyproject = readPyproject(inputs, directory);
  const name = pyproject?.name ?? entry.requirement?.name ?? normalizeName(path.basename(absolute));
  return { name, ...(pyproject?.version && { version: pyproject.version }), directory };
}

function refuseContradictions(pins: Pin[]): void {
  for (const [index, pin] of pins.entries()) {
    const next = pins[index + 1];
    if (next?.name !== pin.name || sameVersion(next.version, pin.version)) continue;
    throw new SheafError("SHEAF_REQUIREMENTS", `${pin.name} is pinned to ${pin.version} and to ${next.version}`, {
      details: [
        [pin.version, pin.source],
        [next.version, next.source],
      ],
      hint: "keep one, or give each a marker that the other has not",
    });
  }
}

function refuseConstraintConflicts(pins: Pin[], set: RequirementsSet, target: Target): void {
  const environment = markerEnvironment(target);
  for (const { requirement, source } of set.constraints) {
    if (!requirement || (requirement.marker && !evaluateMarker(requirement.marker, environment))) continue;
    const pin = pins.find((candidate) => candidate.name === requirement.name);
    if (!pin || satisfies(pin.version, requirement.specifiers)) continue;
    throw new SheafError(
      "SHEAF_REQUIREMENTS",
      `${pin.name} ${pin.version} is pinned against the constraint ${requirement.specifier}`,
      {
        details: [
          ["pinned in", pin.source],
          ["constraint in", source],
        ],
      },
    );
  }
}
