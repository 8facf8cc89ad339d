import { SheafError } from "../errors.ts";
import type { Digest } from "../store/store.ts";

const code = "SHEAF_DAMAGED_INPUT";

/** A download in the store is damaged or gone: the store has removed it, and whoever asked fetches it again. */
export function damagedInput(digest: Digest): SheafError {
  return new SheafError(code, `${digest} in the cache is damaged`, {
    hint: "run the command again: it is fetched anew",
  });
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
