import * as fs from "node:fs";
import * as path from "node:path";

import { openStoredImage, type OpenedImage } from "../../src/assemble/stored-images.ts";
import type { ImagePlan } from "../../src/plan/image-plan.ts";
import { openStore } from "../../src/store/store.ts";
import { forgetOtherBuilds } from "./shared-store.ts";
import { repository, sharedStore, sheaf } from "./sheaf.ts";

export const example = path.join(repository, "examples", "demeterai");

/** What `sheaf build --json` tells of one image. */
export interface BuiltJson {
  name: string;
  references: string[];
  platform: string;
  digest: string;
  size: { compressed: number; unpacked: number };
  layers: {
    name: string;
    digest: string;
    diffId: string;
    compressed: number;
    unpacked: number;
    kind: string;
    reused: boolean;
  }[];
  seconds: number;
}

/** Tag under which the shared store has the example's API image. */
export const exampleTag = "sheaf-e2e-example:latest";

let built: Promise<BuiltJson> | undefined;

/** The example's API image in the shared store: fetched and built by whoever comes first, found by all others. */
export function builtExample(): Promise<BuiltJson> {
  return (built ??= forgetOtherBuilds().then(() => buildJson([example, "--image", "api", "-t", exampleTag])));
}

/** Builds and returns the only image. @throws Error with standard error when it fails */
export async function buildJson(words: string[], options: Parameters<typeof sheaf>[1] = {}): Promise<BuiltJson> {
  const outcome = await sheaf(["build", ...words, "--json"], options);
  if (outcome.code !== 0) throw new Error(`sheaf build ended with ${outcome.code}:\n${outcome.stderr}`);
  const { images } = JSON.parse(outcome.stdout) as { images: BuiltJson[] };
  const [image] = images;
  if (!image || images.length !== 1) throw new Error(`expected one image, got ${images.length}`);
  return image;
}

/** The plan of the example's API image. */
export async function examplePlan(): Promise<ImagePlan> {
  const outcome = await sheaf(["plan", example, "--image", "api", "--json"]);
  if (outcome.code !== 0) throw new Error(`sheaf plan ended with ${outcome.code}:\n${outcome.stderr}`);
  const [image] = (JSON.parse(outcome.stdout) as { images: ImagePlan[] }).images;
  if (!image) throw new Error("the plan has no image");
  return image;
}

export async function openExample(): Promise<OpenedImage> {
  await builtExample();
  return openStoredImage(openStore(sharedStore), exampleTag);
}

/** A copy of the example to change; what git does not carry stays behind. */
export function copyExample(to: string): string {
  const folder = path.join(to, "demeterai");
  fs.cpSync(example, folder, {
    recursive: true,
    filter: (file) => !/(^|\/)(__pycache__|\.pytest_cache|\.venv)(\/|$)/.test(path.relative(example, file)),
  });
  return folder;
}
