import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/**
 * The certificates (PEM) that this machine's engines trust for one registry, as Docker and Podman keep them: `ca.crt` in a folder
 * with the registry's name. Undefined when there are none.
 */
export function registryAuthorities(host: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const home = environment["HOME"] || os.homedir();
  const config = environment["XDG_CONFIG_HOME"] || path.join(home, ".config");
  const folders = [path.join(config, "containers"), path.join(home, ".docker"), "/etc/containers", "/etc/docker"];
  const found = folders.flatMap((folder) => certificatesIn(path.join(folder, "certs.d", host)));
  return found.length === 0 ? undefined : found.join("\n");
}

function certificatesIn(folder: string): string[] {
  try {
    return fs
      .readdirSync(folder)
      .filter((name) => name.endsWith(".crt"))
      .toSorted()
      .map((name) => fs.readFileSync(path.join(folder, name), "utf8"));
  } catch {
    return [];
  }
}
