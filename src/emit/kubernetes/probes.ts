import type { HealthPlan } from "../../plan/image-plan.ts";
import { commented, inline, quoted, type YamlValue } from "../yaml-text.ts";

/**
 * The probes that say what the image's HEALTHCHECK says, which Kubernetes does not look at: a URL is asked by the kubelet,
 * everything else runs in the container.
 */
export function probesOf(health: HealthPlan | undefined): { [key: string]: YamlValue } {
  if (!health) return {};
  const { interval, timeout, startPeriod, retries } = health;
  const action = actionOf(health);
  const period = 2;
  return {
    startupProbe: commented(`${startPeriod} s to start, as the image's health check gives it; then the others begin.`, {
      ...action,
      periodSeconds: period,
      timeoutSeconds: timeout,
      failureThreshold: Math.max(1, Math.ceil(startPeriod / period)),
    }),
    livenessProbe: { ...action, periodSeconds: interval, timeoutSeconds: timeout, failureThreshold: retries },
    readinessProbe: {
      ...action,
      periodSeconds: Math.min(interval, 10),
      timeoutSeconds: timeout,
      failureThreshold: retries,
    },
  };
}

function actionOf({ url, test }: HealthPlan): { [key: string]: YamlValue } {
  if (url === undefined) return { exec: { command: inline(test.map((word) => quoted(word))) } };
  const { protocol, port, pathname, search, host } = new URL(url);
  const number = Number(port) || (protocol === "https:" ? 443 : 80);
  return {
    httpGet: {
      path: `${pathname}${search}`,
      port: number,
      ...(protocol === "https:" ? { scheme: "HTTPS" } : {}),
      // The kubelet would name the pod's address, which an application that checks names of hosts refuses.
      httpHeaders: inline([{ name: "Host", value: host }]),
    },
  };
}
