import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { configJsonSchema } from "../../src/project/config/read-config.ts";
import { ImageSettings, SheafConfig } from "../../src/project/config/schema.ts";

const repository = path.join(import.meta.dirname, "..", "..");
const file = path.join(repository, "schemas", "sheaf.schema.json");

describe("what is published of the configuration", () => {
  it("is the JSON Schema that the validator has (UPDATE_SCHEMA=1 writes it, npm run format formats it)", async () => {
    const schema = await configJsonSchema();
    if (process.env["UPDATE_SCHEMA"]) fs.writeFileSync(file, JSON.stringify(schema, undefined, 2));
    expect(JSON.parse(fs.readFileSync(file, "utf8"))).toEqual(schema);
  });

  it("says something of every key in docs/configuration.md, and of no other", () => {
    const text = fs.readFileSync(path.join(repository, "docs", "configuration.md"), "utf8");
    const [, whole = "", images = ""] = text.split(/^## (?=For the whole project|For one image)/m);
    expect(keysOf(whole)).toEqual(Object.keys(SheafConfig.shape).toSorted());
    expect(keysOf(images)).toEqual(Object.keys(ImageSettings.shape).toSorted());
  });
});

/** Keys in the first column of the tables of a section. */
function keysOf(section: string): string[] {
  return [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, key = ""]) => key).toSorted();
}
