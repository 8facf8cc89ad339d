import * as fs from "node:fs";
import * as path from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { SheafError } from "../../src/errors.ts";
import { openDockerArchive } from "../../src/oci/open-docker-archive.ts";
import { imageFromManifest } from "../../src/oci/open-image.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import { collect, streamOf, temporary, text } from "../archive/oracle.ts";
import { d, f, h, imageOf, layerOf, s, tarOf, type TarSpec } from "./images.ts";

const layer = layerOf([d("usr"), f("usr/a"), s("lib", "usr"), h("usr/b", "usr/a")]);
const image = imageOf([layer]);

/** A JSON document with one value, anywhere in it, replaced by another. */
function mutated(document: unknown): fc.Arbitrary<unknown> {
  const places: (string | number)[][] = [];
  const visit = (value: unknown, place: (string | number)[]): void => {
    places.push(place);
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) visit((value as Record<string, unknown>)[key], [...place, key]);
  };
  visit(document, []);
  const other = fc.constantFrom<unknown>(null, 0, -1, "x", [], {}, [null], [1], { a: 1 }, 1e300, true);
  return fc.tuple(fc.constantFrom(...places), other).map(([place, value]) => replaced(document, place, value));
}

function replaced(document: unknown, [key, ...rest]: (string | number)[], value: unknown): unknown {
  if (key === undefined) return value;
  const copy = structuredClone(document) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, value);
  return copy;
}

async function attempt(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
  }
}

describe("whatever the bytes, there is a verdict or a SheafError", () => {
  const blobs = async (bytes: Uint8Array) =>
    validateImage(imageFromManifest(bytes, image.configBytes, () => layer.compressed()));

  it("for a manifest", async () => {
    await fc.assert(
      fc.asyncProperty(mutated(image.manifest), (manifest) => attempt(() => blobs(text(JSON.stringify(manifest))))),
      { numRuns: 400 },
    );
  });

  it("for a config", async () => {
    await fc.assert(
      fc.asyncProperty(mutated(image.config), (config) =>
        attempt(async () =>
          validateImage(imageFromManifest(image.manifestBytes, text(JSON.stringify(config)), () => layer.compressed())),
        ),
      ),
      { numRuns: 400 },
    );
  });

  it("for an index and a manifest.json", async () => {
    const archive = path.join(temporary(), "image.tar");
    await writeDockerArchive(archive, image, ["app"]);
    const { readTar } = await import("../../src/archive/tar-read.ts");
    const files = readTar(fs.readFileSync(archive)).filter((entry) => entry.type === "file");
    const specs = files.map((entry): TarSpec => ({ ...f(entry.path), content: Uint8Array.from(entry.data) }));
    for (const name of ["index.json", "manifest.json"]) {
      // Without the index, the archive is read as Docker's.
      const others = specs.filter(
        (spec) => spec.path !== name && (name === "index.json" || spec.path !== "index.json"),
      );
      const document: unknown = JSON.parse(Buffer.from(specs.find((spec) => spec.path === name)!.content!).toString());
      await fc.assert(
        fc.asyncProperty(mutated(document), async (changed) => {
          fs.writeFileSync(archive, tarOf([...others, f(name, JSON.stringify(changed))]));
          await attempt(async () => validateImage(await openDockerArchive(archive, { tag: "app" })));
        }),
        { numRuns: 150 },
      );
    }
  });

  it("for a layer", async () => {
    const blob = await collect(layer.compressed());
    const tar = await collect(layer.uncompressed());
    const edit = fc.record({ at: fc.nat(), value: fc.nat({ max: 255 }) });
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(edit, { minLength: 1, maxLength: 3 }), async (packed, edits) => {
        const bytes = Uint8Array.from(packed ? blob : tar);
        for (const { at, value } of edits) bytes[at % bytes.length] = value;
        const hostile = {
          ...layer,
          mediaType: packed ? layer.mediaType : "application/vnd.oci.image.layer.v1.tar",
          compressed: () => streamOf(bytes, 999),
        };
        const problems = await validateImage({ ...image, layers: [hostile] });
        expect(problems.length > 0 || Buffer.compare(bytes, blob) === 0).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
