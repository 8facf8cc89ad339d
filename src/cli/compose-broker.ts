import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import type { Image } from "../oci/image.ts";
import { planServices } from "./commands/plan-options.ts";
import type { Context } from "./context.ts";

const configuration = `[project]
name = "broker"

[tool.sheaf.images.redis]
kind = "debian"
packages = ["redis-server"]
`;

/** A Redis of Debian's packages as an image; the reason where Debian's archive can't be had. */
export async function composeBroker(context: Context): Promise<Image | string> {
  const [{ planImages }, { assemble }] = await Promise.all([
    import("../plan/plan-images.ts"),
    import("../assemble/assemble.ts"),
  ]);
  const directory = context.store.makeTemporary("broker");
  try {
    fs.writeFileSync(path.join(directory, "pyproject.toml"), configuration);
    // A folder without Python is no project; this ships nowhere.
    fs.writeFileSync(path.join(directory, "broker.py"), "");
    const { images } = await planImages({ directory, images: ["redis"] }, planServices(context));
    const [planned] = images;
    if (!planned) throw new Error("the broker has no plan");
    return (await assemble(planned, directory, context.store)).image;
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    return `this machine has no redis-server, and Debian's can't be had: ${error.message}`;
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}
