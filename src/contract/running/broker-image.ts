import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { promisify } from "node:util";

import { findProgram } from "../../host/programs.ts";
import { buildImage, type Image } from "../../oci/image.ts";
import { hostPlatform } from "../../platform.ts";
import { extraLayer } from "./extra-layer.ts";

const run = promisify(execFile);

let made: Promise<Image | undefined> | undefined;

/** This machine's redis-server with its libraries as an image, so that any runtime can run it; undefined where there is none. */
export function hostBrokerImage(): Promise<Image | undefined> {
  return (made ??= makeImage());
}

async function makeImage(): Promise<Image | undefined> {
  const platform = hostPlatform();
  const program = findProgram("redis-server") ?? findProgram("valkey-server");
  if (!platform || program === undefined) return undefined;
  const libraries = await librariesOf(program);
  if (!libraries) return undefined;
  const server = "/redis-server";
  const layer = extraLayer(
    [[server, program] as const, ...libraries.map((file) => [file, file] as const)].map(([path, file]) => ({
      path: path.slice(1),
      data: fs.readFileSync(file),
      mode: 0o755,
    })),
  );
  const config = {
    User: "10001:10001",
    Env: ["PATH=/"],
    WorkingDir: "/",
    // It keeps nothing, and only containers that share its network, and this machine, can reach it.
    Cmd: [server, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--appendonly", "no"],
  };
  return buildImage({ layers: [layer], config: { ...platform, config } });
}

/** What the loader loads with a program, its loader included, at the paths where it looks. */
async function librariesOf(program: string): Promise<string[] | undefined> {
  try {
    const { stdout } = await run("ldd", [program]);
    return [...new Set(stdout.match(/\/[^\s():]+/g) ?? [])].filter((file) => file !== program);
  } catch (error) {
    // A static one has none.
    return error instanceof Error && "stderr" in error && /not a dynamic/.test(String(error.stderr)) ? [] : undefined;
  }
}
