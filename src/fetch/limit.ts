/** Starts an action when there is room for it. `size` says how long it will take beside others, 0 unless given. */
export type Limit = <T>(action: () => Promise<T>, size?: number) => Promise<T>;

/**
 * Runs at most `count` actions at once. Of those that wait, the largest and the one that has waited longest take turns: a
 * large one that begins last is waited for alone, and small ones give others something to do meanwhile.
 */
export function createLimit(count: number): Limit {
  let running = 0;
  let turn = 0;
  const waiting: { size: number; start: () => void }[] = [];
  const next = (): void => {
    const sizes = waiting.map(({ size }) => size);
    const index = turn++ % 2 === 0 ? sizes.indexOf(Math.max(...sizes)) : 0;
    for (const { start } of waiting.splice(index, 1)) start();
  };
  return async (action, size = 0) => {
    if (running >= count) await new Promise<void>((start) => waiting.push({ size, start }));
    running += 1;
    try {
      return await action();
    } finally {
      running -= 1;
      if (waiting.length > 0) next();
    }
  };
}
