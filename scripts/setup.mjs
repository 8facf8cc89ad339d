// Brings node_modules when they are missing, so that a fresh clone needs no step before `npm test` or `npm run quickstart`.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Runs a program in the repository's root; ends this process with its status when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (result.error) throw result.error;
  if (result.signal) process.kill(process.pid, result.signal);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Runs a program of node_modules. */
export function runTool(name, args, options) {
  run(path.join(root, "node_modules", ".bin", name), args, options);
}

/** Stops with a sentence on a Node that is too old, and installs the dependencies that the lock names. */
export function ensureDependencies() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 20)) {
    console.error(`error: Node ${process.versions.node} is older than 20.20, which Sheaf needs`);
    process.exit(2);
  }
  const installed = path.join(root, "node_modules", ".package-lock.json");
  const lock = path.join(root, "package-lock.json");
  if (fs.existsSync(installed) && fs.statSync(installed).mtimeMs >= fs.statSync(lock).mtimeMs) return;
  console.error("installing dependencies …");
  // Not `npm ci`: that refuses a lock that lacks the optional packages of platforms which a mirror does not carry.
  run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]);
}
