import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import type { Digest } from "../store/store.ts";

const code = "SHEAF_DAMAGED_INPUT";

/** A download in the store is damaged or gone: the store has removed it, and whoever asked fetches it again. */
export function damagedInput(digest: Digest): SheafError {
  return new SheafError(code, `${digest} in the cache is damaged`, {
    hint: "run the command again: it is fetched anew",
  });
}

/** A record that others rest on is damaged or gone: whoever finds it takes away what refers to it, and it is made again. */
export function damagedRecord(what: string): SheafError {
  return new SheafError(code, `${what} is gone from the cache`, { hint: "run the command again: it is made anew" });
}

/** Runs an action on a download; when the copy in the store proves damaged, fetches it again, once. */
export async function withFreshInput<T>(
  fetch: () => Promise<Digest>,
  action: (digest: Digest) => Promise<T>,
): Promise<T> {
  try {
    return await action(await fetch());
  } catch (error) {
    if (!(error instanceof SheafError) || error.code !== code) throw error;
    return action(await fetch());
  }
}

/**
 * Runs an action again when it comes upon damage in the store: what is damaged is removed as it is found, so that the next
 * run fetches or makes it anew and reuses the rest. Gives up when the same damage is met a second time.
 */
export async function mendingDamage<T>(emit: Emit, action: () => Promise<T>): Promise<T> {
  const met = new Set<string>();
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof SheafError) || (error.code !== code && error.code !== "SHEAF_DAMAGED")) throw error;
      if (met.has(error.message)) throw error;
      if (met.size === 0) {
        emit({ type: "warning", code: error.code, message: "parts of the cache are damaged and are made again" });
      }
      met.add(error.message);
    }
  }
}
