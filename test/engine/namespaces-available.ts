import { spawnSync } from "node:child_process";

/** Whether this machine lets its users make namespaces; why not, in the words of the kernel, is what the skipped tests' titles point to. */
export function namespacesWork(user?: { uid: number; gid: number }): boolean {
  const args = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "true"];
  return process.platform === "linux" && spawnSync("unshare", args, { stdio: "ignore", ...user }).status === 0;
}
