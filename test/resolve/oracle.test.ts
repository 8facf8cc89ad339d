import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import { SheafError } from "../../src/errors.ts";
import { evaluateMarker, markerEnvironment } from "../../src/resolve/markers.ts";
import { compareVersions, normaliseVersion, parseVersion } from "../../src/resolve/pep440.ts";
import { parseMarker, parseRequirement } from "../../src/resolve/pep508.ts";
import type { Target } from "../../src/resolve/resolution.ts";
import { parseSpecifiers, satisfies } from "../../src/resolve/specifiers.ts";
import { compatibleTags } from "../../src/resolve/tags.ts";

interface Table {
  versions: [string, string][];
  sorted: string[];
  notVersions: string[];
  specifiers: [string, string | null][];
  markers: [string, string][];
  notMarkers: string[];
  requirements: [string, [string, string[], string | null, boolean]][];
  notRequirements: string[];
  tags: [minor: number, machine: string, glibc: number, count: number, digest: string, some: string[]][];
}

const folder = new URL("oracle/", import.meta.url);
const committed = JSON.parse(fs.readFileSync(new URL("table.json", folder), "utf8")) as Table;
const target: Target = { platform: { os: "linux", architecture: "amd64" }, python: "3.12.1", glibc: [2, 36] };

/** The table made anew by this machine's Python, when its packaging library is recent enough. */
function askPython(): Table | undefined {
  for (const python of ["python3", "python"]) {
    try {
      const script = fileURLToPath(new URL("make_table.py", folder));
      const table = execFileSync(python, [script], {
        stdio: ["ignore", "pipe", "ignore"],
        maxBuffer: 16 * 1024 * 1024,
      });
      return JSON.parse(table.toString("utf8")) as Table;
    } catch {
      continue;
    }
  }
  return undefined;
}

const live = askPython();

describe.each([["the committed table", committed] as const, ["this machine's packaging library", live] as const])(
  "PEP 440, 508 and 425 as %s answers",
  (name, table) => {
    it.skipIf(!table)(`versions${table ? "" : `: skipped without ${name} 25 or later`}`, () => {
      expect(table!.versions.map(([version]) => [version, normaliseVersion(version)])).toEqual(table!.versions);
      for (const text of table!.notVersions) expect(parseVersion(text), text).toBeUndefined();
      const order = table!.sorted.map(
        (version, index) => compareVersions(table!.sorted[index - 1] ?? version, version) <= 0,
      );
      expect(order).not.toContain(false);
    });

    it.skipIf(!table)("specifiers", () => {
      const versions = table!.versions.map(([version]) => version);
      const answers = table!.specifiers.map(([text]) => {
        const specifiers = parseSpecifiers(text);
        return [text, specifiers ? versions.map((version) => Number(satisfies(version, specifiers))).join("") : null];
      });
      expect(answers).toEqual(table!.specifiers);
    });

    it.skipIf(!table)("markers", () => {
      const environments = [[], ["ml"], ["a-b-c"]].map((extras) => markerEnvironment(target, { extras }));
      const answers = table!.markers.map(([text]) => {
        const marker = parseMarker(text);
        return [text, environments.map((environment) => Number(evaluateMarker(marker, environment))).join("")];
      });
      expect(answers).toEqual(table!.markers);
      for (const text of table!.notMarkers) expect(() => parseMarker(text), text).toThrow(SheafError);
    });

    it.skipIf(!table)("requirements", () => {
      const answers = table!.requirements.map(([text]) => {
        const { name, extras, url, marker } = parseRequirement(text);
        return [text, [name, extras.toSorted(), url ?? null, marker !== undefined]];
      });
      expect(answers).toEqual(table!.requirements);
      for (const text of table!.notRequirements) expect(() => parseRequirement(text), text).toThrow(SheafError);
    });

    it.skipIf(!table)("tags, in their order", () => {
      const answers = table!.tags.map(([minor, machine, glibc]) => {
        const architecture = machine === "x86_64" ? "amd64" : "arm64";
        const tags = compatibleTags({
          platform: { os: "linux", architecture },
          python: `3.${minor}.4`,
          glibc: [2, glibc],
        });
        const digest = createHash("sha256").update(tags.join("\n")).digest("hex");
        return [minor, machine, glibc, tags.length, digest, [...tags.slice(0, 2), ...tags.slice(-2)]];
      });
      expect(answers).toEqual(table!.tags);
    });
  },
);
