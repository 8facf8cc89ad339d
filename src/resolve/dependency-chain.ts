import { normalizeName } from "../wheel/filename.ts";

/** What a chain is read from: a Resolution's distributions, or pins. */
interface Asked {
  name: string;
  requiredBy: string[];
}

/**
 * Who asks for a distribution, nearest first, up to a part of the project: `["torch", "ultralytics", "worker"]`. The shortest
 * chain when there are several; the name alone when the lock does not tell.
 */
export function dependencyChain(
  distributions: readonly Asked[] | { distributions: readonly Asked[] },
  name: string,
): string[] {
  const list = "distributions" in distributions ? distributions.distributions : distributions;
  const byName = new Map(list.map((item) => [item.name, item]));
  const start = normalizeName(name);
  const reachedFrom = new Map<string, string | undefined>([[start, undefined]]);
  const queue = [start];
  let last = start;
  for (let current = queue.shift(); current !== undefined; current = queue.shift()) {
    last = current;
    const asking = byName.get(current)?.requiredBy ?? [];
    // Nobody asks for it, or it is no distribution: a part of the project, where every chain ends.
    if (asking.length === 0) break;
    for (const parent of asking) {
      if (reachedFrom.has(parent)) continue;
      reachedFrom.set(parent, current);
      queue.push(parent);
    }
  }
  const chain: string[] = [];
  for (let step: string | undefined = last; step !== undefined; step = reachedFrom.get(step)) chain.push(step);
  return chain.toReversed();
}
