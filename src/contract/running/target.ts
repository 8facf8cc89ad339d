import type { StaticContext } from "../check.ts";
import { portOfCommand } from "../checks/config-settings.ts";
import { startWords } from "../role.ts";

/** What of a running image is asked. */
export interface Target {
  /** Port in the container; undefined for what serves nothing. */
  port?: number;
  /** What answers 200 when all is well; undefined for what does not speak HTTP. */
  path?: string;
  /** The name under which the server is asked. */
  host?: string;
}

/** The contract's URL, else the one that the image's own health check asks, else the root of an API's port. */
export function targetOf({ contract, image }: Pick<StaticContext, "contract" | "image">): Target {
  const config = image.config.config ?? {};
  const exposed = Object.keys(config.ExposedPorts ?? {})
    .filter((name) => !name.endsWith("/udp"))
    .map((name) => Number.parseInt(name, 10));
  const asked = contract.healthUrl ?? urlIn(config.Healthcheck?.Test ?? []);
  const url = asked === undefined ? undefined : parse(asked);
  const speaksHttp = url !== undefined || contract.role === "api" || contract.role === "flower";
  const told = asked !== undefined && /^https?:/.test(asked) && url ? Number(url.port || 80) : undefined;
  const port =
    told ??
    contract.ports?.[0] ??
    (speaksHttp ? (portOfCommand(startWords(config)) ?? exposed[0] ?? 8000) : exposed[0]);
  if (!speaksHttp) return port === undefined ? {} : { port };
  return {
    ...(port === undefined ? {} : { port }),
    path: url ? `${url.pathname}${url.search}` : "/",
    host: `localhost:${port}`,
  };
}

function parse(text: string): URL | undefined {
  return URL.canParse(text, "http://localhost") ? new URL(text, "http://localhost") : undefined;
}

function urlIn(words: readonly string[]): string | undefined {
  return words.join(" ").match(/http:\/\/(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::\d+)?[^\s"',\])|;]*/)?.[0];
}
