import type { ImageConfig } from "../oci/types.ts";
import type { HealthPlan, ImagePlan } from "../plan/image-plan.ts";

/** The image's config as Docker and OCI write it (image-spec, config.md; Docker's Healthcheck beside it). */
export function imageConfig(plan: ImagePlan): Omit<ImageConfig, "rootfs" | "history"> {
  const { config, platform, user } = plan;
  const { uid, gid } = user.value;
  return {
    created: new Date(plan.options.created * 1000).toISOString().replace(".000Z", "Z"),
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.architecture === "arm64" ? { variant: "v8" } : {}),
    config: {
      // By number, so that Kubernetes' runAsNonRoot can tell; passwd has the name.
      User: `${uid}:${gid}`,
      ...(config.ports.length > 0
        ? { ExposedPorts: Object.fromEntries(config.ports.map((port) => [`${port.value}/tcp`, {}])) }
        : {}),
      Env: Object.entries(config.env).map(([name, { value }]) => `${name}=${value}`),
      Entrypoint: config.entrypoint.value,
      Cmd: config.command.value,
      WorkingDir: config.workdir.value,
      Labels: Object.fromEntries(Object.entries(config.labels).map(([name, { value }]) => [name, value])),
      StopSignal: config.stopSignal.value,
      ...(config.health ? { Healthcheck: healthcheck(config.health.value) } : {}),
    },
  };
}

const second = 1_000_000_000;

function healthcheck({ test, interval, timeout, startPeriod, retries }: HealthPlan) {
  return {
    Test: ["CMD", ...test],
    Interval: interval * second,
    Timeout: timeout * second,
    StartPeriod: startPeriod * second,
    Retries: retries,
  };
}
