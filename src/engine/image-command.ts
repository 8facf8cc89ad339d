import type { ImageConfig } from "../oci/types.ts";
import { SheafError } from "../errors.ts";
import type { ImageUser } from "./image-user.ts";

/** Docker's, for images that set none. */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Entrypoint and command; `override` takes the place of the command alone, as the words after the image's name in `docker run`.
 * @throws SheafError SHEAF_NO_COMMAND when there is nothing to run
 */
export function imageCommand(config: ImageConfig, override?: string[]): string[] {
  const words = [...(config.config?.Entrypoint ?? []), ...(override ?? config.config?.Cmd ?? [])];
  if (words.length > 0) return words;
  throw new SheafError("SHEAF_NO_COMMAND", "the image has neither an entrypoint nor a command", {
    hint: "say what to run after the image's name: sheaf run IMAGE -- COMMAND",
  });
}

/** The image's Env with `extra` over it, and PATH and HOME where neither sets them. */
export function imageEnvironment(
  config: ImageConfig,
  user: ImageUser,
  extra: Record<string, string> = {},
): Record<string, string> {
  const own = (config.config?.Env ?? []).map((line): [string, string] => {
    const equals = line.indexOf("=");
    return equals < 0 ? [line, ""] : [line.slice(0, equals), line.slice(equals + 1)];
  });
  return { PATH: defaultPath, HOME: user.home, ...Object.fromEntries(own), ...extra };
}
