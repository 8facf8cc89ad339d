import type { Running } from "./engine.ts";

const forwarded = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Passes the signals that would end this process on to a running image: the first asks it to stop (SIGINT too, since that is what somebody
 * who presses Ctrl-C wants), with its grace period; the second kills it. Undone by the returned function, or when the image has ended.
 */
export function forwardSignals(running: Running, graceMs = 10_000): () => void {
  let asked = false;
  const onSignal = () => {
    if (asked) return running.signal("SIGKILL");
    asked = true;
    running.stop(undefined, graceMs).catch(() => undefined);
  };
  const undo = () => {
    for (const signal of forwarded) process.off(signal, onSignal);
  };
  for (const signal of forwarded) process.on(signal, onSignal);
  running.exited.then(undo, undo);
  return undo;
}
