import { initialHealth, nextHealth, probeDelayMs, type HealthCheck, type HealthStatus } from "./health.ts";

export interface HealthMonitor {
  readonly status: HealthStatus;
  stop(): void;
}

export interface HealthMonitorOptions {
  check: HealthCheck;
  /** Runs the probe; must end by itself within `timeoutMs`. */
  probe(command: string[], timeoutMs: number): Promise<{ code: number }>;
  onChange?: (status: HealthStatus) => void;
}

/** Probes at the check's interval until `stop`. Keeps no process alive by itself. */
export function monitorHealth(options: HealthMonitorOptions): HealthMonitor {
  const { check } = options;
  const startedAt = performance.now();
  let state = initialHealth;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  const schedule = () => {
    timer = setTimeout(() => void probeOnce(), probeDelayMs(check, state, performance.now() - startedAt));
    timer.unref();
  };
  const probeOnce = async () => {
    const code = await options.probe(check.command, check.timeoutMs).then(
      (result) => result.code,
      () => 1,
    );
    if (stopped) return;
    const before = state.status;
    state = nextHealth(check, state, { ok: code === 0, atMs: performance.now() - startedAt });
    if (state.status !== before) options.onChange?.(state.status);
    schedule();
  };

  schedule();
  return {
    get status() {
      return state.status;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
