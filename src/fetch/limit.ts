/** Runs at most `count` actions at once, the others wait in order. */
export function createLimit(count: number): <T>(action: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (action) => {
    if (running >= count) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      return await action();
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
}
