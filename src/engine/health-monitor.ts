import type { ExecResult } from "./exec.ts";
import {
  initialHealth,
  nextHealth,
  probeDelayMs,
  probeEvidence,
  type HealthCheck,
  type HealthListener,
  type HealthStatus,
} from "./health.ts";

export interface HealthMonitor {
  readonly status: HealthStatus;
  stop(): void;
}

export interface HealthMonitorOptions {
  check: HealthCheck;
  /** Runs the probe; must end by itself within `timeoutMs`. */
  probe(command: string[], timeoutMs: number): Promise<ExecResult>;
  onChange?: HealthListener;
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
    const result = await options.probe(check.command, check.timeoutMs).catch((error: unknown) => ({
      code: 1,
      stdout: "",
      stderr: error instanceof Error ? error.message : String(error),
    }));
    if (stopped) return;
    const before = state.status;
    state = nextHealth(check, state, { ok: result.code === 0, atMs: performance.now() - startedAt });
    if (state.status !== before)
      options.onChange?.(state.status, probeEvidence(result.code, result.stdout + result.stderr));
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
