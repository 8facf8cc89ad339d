import { capabilityName } from "../cuda/architecture.ts";
import type { Contract } from "./contract.ts";

/** The contract as settings, so that what is printed can be kept as a file and given to `--contract`. */
export function contractSettings(contract: Contract): Record<string, unknown> {
  const { health } = contract;
  return withoutUndefined({
    role: contract.role,
    skip: contract.skip,
    user: contract.user,
    uid: contract.uid,
    health:
      health &&
      withoutUndefined({
        interval: health.interval,
        timeout: health.timeout,
        "start-period": health.startPeriod,
        retries: health.retries,
      }),
    ports: contract.ports,
    "stop-signal": contract.stopSignal,
    env: contract.env,
    labels: contract.labels,
    size: sizeText(contract.size),
    "compressed-size": sizeText(contract.compressedSize),
    "layer-size": sizeText(contract.layerSize),
    layers: contract.layers,
    waste: sizeText(contract.waste),
    duplicates: sizeText(contract.duplicates),
    setuid: contract.setuid,
    cuda: contract.cuda,
    "driver-label": contract.driverLabel,
    "gpu-targets": contract.gpuTargets?.map(capabilityName),
    "allow-files": contract.allowFiles,
    "allow-libraries": contract.allowLibraries,
    "build-args": contract.buildArgs,
    "health-url": contract.healthUrl,
    "health-body": contract.healthBody,
    "slow-url": contract.slowUrl,
    start: contract.start,
    starts: contract.starts,
    answer: contract.answer,
    concurrency: contract.concurrency,
    stop: contract.stop,
    "exit-codes": contract.exitCodes,
    memory: sizeText(contract.memory),
    "run-env": contract.runEnv,
    "broker-env": contract.brokerEnv,
    "worker-task": contract.workerTask,
    build: contract.build,
    checks: contract.checks,
  });
}

/** Exact, and read back as the same number. */
function sizeText(bytes: number | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  return bytes % 1_000_000 === 0 ? `${bytes / 1_000_000}MB` : `${bytes}B`;
}

function withoutUndefined(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
