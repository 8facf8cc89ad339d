import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";

import { SheafError } from "../errors.ts";
import type { ResolveServices } from "./request.ts";

const run = promisify(execFile);

export interface Uv {
  /** Absolute path, or a name on PATH. */
  command: string;
  /** `0.9.8`. */
  version: string;
}

/**
 * uv from PATH, else from the store, else brought into the store with pip (into a folder of its own, so that no managed
 * environment is touched).
 *
 * @param folder where it will be run: a shim of pyenv or asdf may be a uv in one folder and none in another
 * @throws SheafError SHEAF_NO_UV, SHEAF_OFFLINE
 */
export async function findUv(folder: string, services: ResolveServices): Promise<Uv> {
  const tools = path.join(services.store.root, "tools");
  const kept = path.join(tools, "uv", "bin", "uv");
  for (const command of ["uv", kept]) {
    const version = await versionOf(command, folder);
    if (version) return { command, version };
  }
  if (services.fetcher.offline) {
    throw new SheafError("SHEAF_OFFLINE", "resolving needs uv, which isn't on this machine", {
      hint: "install uv, or run once without --offline",
    });
  }
  services.emit({ type: "stage", stage: "resolve", message: "bringing uv" });
  const reason = await install(tools, services);
  const version = reason === undefined ? await versionOf(kept, folder) : undefined;
  if (version) return { command: kept, version };
  throw new SheafError("SHEAF_NO_UV", "there is no lock, and no uv to resolve with", {
    details: reason ? [["pip said", reason]] : [],
    hint: [
      "install uv (pipx install uv, or pip install uv), and run again",
      "or commit a lock: uv.lock, pylock.toml, poetry.lock, pdm.lock, Pipfile.lock, or requirements.txt with hashes",
    ],
  });
}

async function versionOf(command: string, folder: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(command, ["--version"], { cwd: folder, timeout: 20_000 });
    return /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0];
  } catch {
    return undefined;
  }
}

/** Undefined when it worked, else pip's own last words. */
async function install(tools: string, services: ResolveServices): Promise<string | undefined> {
  const folder = services.store.makeTemporary("uv");
  let reason = "there is no python3";
  for (const python of ["python3", "python"]) {
    const parameters = [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--no-input",
      "--only-binary",
      ":all:",
      "--target",
      folder,
      "uv",
    ];
    try {
      await run(python, parameters, { timeout: 300_000, maxBuffer: 16 * 1024 * 1024 });
      fs.mkdirSync(tools, { recursive: true });
      fs.rmSync(path.join(tools, "uv"), { recursive: true, force: true });
      fs.renameSync(folder, path.join(tools, "uv"));
      return undefined;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") continue;
      const said = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
      reason = said.trim().split("\n").at(-1) ?? said;
      break;
    }
  }
  return reason;
}
