import * as os from "node:os";
import * as path from "node:path";

/** Where the store is unless the user says otherwise: SHEAF_CACHE_DIR, XDG_CACHE_HOME/sheaf, ~/.cache/sheaf. */
export function defaultStoreRoot(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment["SHEAF_CACHE_DIR"]) return path.resolve(environment["SHEAF_CACHE_DIR"]);
  const cache = environment["XDG_CACHE_HOME"] || path.join(os.homedir(), ".cache");
  return path.join(cache, "sheaf");
}
