import type { Sourced } from "../project/project.ts";
import type { ImageIntent } from "./choose-images.ts";
import type { HealthPlan } from "./image-plan.ts";
import { byCodeUnit } from "../order.ts";

export interface HealthRequest {
  intent: ImageIntent;
  /** The project's Python files, path from the root → source. */
  sources: ReadonlyMap<string, string>;
  port: Sourced<number> | undefined;
  shell: boolean;
  /** What asks, where nothing is configured; wget with a shell, else Python. */
  client?: "wget" | "curl" | "python";
}

/** Docker's figures for every probe: asked every 30 s, 3 s to answer, 40 s to start, 3 failures in a row. */
const figures = { interval: 30, timeout: 3, startPeriod: 40, retries: 3 };

/** How the image says that it is well; undefined when it was told to have no probe. */
export function chooseHealth({
  intent,
  sources,
  port,
  shell,
  client: usual,
}: HealthRequest): Sourced<HealthPlan> | undefined {
  const { settings, role } = intent;
  if (settings.health === false) return undefined;
  const client = settings["health-client"] ?? usual ?? (shell ? "wget" : "python");
  if (typeof settings.health === "string") return { value: urlProbe(settings.health, client), source: "config" };
  if (settings.health) return { value: { ...figures, test: settings.health }, source: "config" };
  if (role === "worker" || role === "beat")
    return { value: processProbe("celery", shell), source: `a ${role} has no port` };
  if (!port) return undefined;
  const told = healthUrl(intent.service?.health?.value, port.value);
  if (told) return { value: urlProbe(told, client), source: intent.service?.health?.source ?? "compose" };
  if (role === "flower")
    return { value: urlProbe(`http://localhost:${port.value}/healthcheck`, client), source: "flower's own" };
  const route = role === "api" ? findHealthRoute(intent, sources) : undefined;
  if (route) return { value: urlProbe(`http://localhost:${port.value}${route.value}`, client), source: route.source };
  return { value: portProbe(port.value), source: "no health route found: asks whether the port answers" };
}

/** Asks a URL with a program of the image. */
export function urlProbe(url: string, client: "wget" | "curl" | "python"): HealthPlan {
  if (client === "curl") return { ...figures, url, test: ["curl", "-f", "-sS", "-o", "/dev/null", url] };
  // The answer is fetched and thrown away: busybox has no --spider over HTTP/1.1 servers that refuse HEAD. No -T either, which
  // Debian's busybox is built without and dies of; the engine ends a probe that takes too long. A proxy is not for this host.
  if (client === "wget") return { ...figures, url, test: ["wget", "-q", "-Y", "off", "-O", "/dev/null", url] };
  const program = `import urllib.request as u; u.build_opener(u.ProxyHandler({})).open(${pythonText(url)}, timeout=3)`;
  return { ...figures, url, test: ["python3", "-I", "-S", "-c", program] };
}

/** Single quotes need no escaping where the program stands in JSON or YAML. */
function pythonText(text: string): string {
  return /['\\]/.test(text) ? JSON.stringify(text) : `'${text}'`;
}

function portProbe(port: number): HealthPlan {
  const program = `import socket; socket.create_connection(('127.0.0.1', ${port}), 3)`;
  return { ...figures, test: ["python3", "-I", "-S", "-c", program] };
}

/**
 * Whether the process is there and not a zombie, which has no command line. A worker that runs a long task in a solo pool
 * answers no ping, so asking it would call a busy worker ill. A process's short name isn't asked for: torch calls the main
 * thread pt_main_thread as soon as it is imported, and setproctitle writes `[celeryd: celery@host:MainProcess]` over the
 * command line.
 */
function processProbe(name: string, shell: boolean): HealthPlan {
  const title = `${name}d:`;
  if (shell) return { ...figures, test: ["sh", "-c", `grep -qzxE '(.*/)?${name}|.${title}.*' /proc/[0-9]*/cmdline`] };
  const isName = `a.split('/')[-1]=='${name}' or a[1:${1 + title.length}]=='${title}'`;
  const words = "for f in glob.glob('/proc/[0-9]*/cmdline') for a in open(f,errors='replace').read().split(chr(0))";
  return { ...figures, test: ["python3", "-I", "-S", "-c", `import glob,sys; sys.exit(not any(${isName} ${words}))`] };
}

/** The same probe in an image of Debian's that has Python, and of busybox's programs those that Debian has, too. */
export function probeWithPython(health: HealthPlan): HealthPlan {
  const { test, url, interval, timeout, startPeriod, retries } = health;
  if (test[0] !== "wget" || url === undefined) return health;
  return { ...urlProbe(url, "python"), interval, timeout, startPeriod, retries };
}

/** A URL in what a compose file or Dockerfile asks; only one that asks this very port of this very container. */
function healthUrl(text: string | undefined, port: number): string | undefined {
  const url = text?.match(/https?:\/\/(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?[^\s"',\])|;]*/)?.[0];
  if (!url || !URL.canParse(url)) return undefined;
  const parsed = new URL(url.replace("0.0.0.0", "localhost"));
  return Number(parsed.port || 80) === port ? parsed.href : undefined;
}

const routePattern =
  /@(\w+)\.(?:get|api_route)\(\s*(?:path\s*=\s*)?["'](\/?(?:[\w-]+\/)*(?:health|healthz|healthcheck|health-check|health_check|livez|liveness|ping|heartbeat)\/?)["']/g;

/**
 * A route that a health check can ask, when its whole path can be told from the code: one that the application object itself
 * serves, or a router that is included without a prefix that is computed.
 */
function findHealthRoute({ app }: ImageIntent, sources: ReadonlyMap<string, string>): Sourced<string> | undefined {
  const candidates: { rank: number; value: string; source: string }[] = [];
  for (const [file, source] of sources) {
    for (const match of source.matchAll(routePattern)) {
      const [, object = "", route = ""] = match;
      const ownRoute = file === app?.file && object === app.attribute;
      const prefix = ownRoute ? "" : routerPrefix({ file, object, source, sources });
      if (prefix === undefined) continue;
      const line = source.slice(0, match.index).split("\n").length;
      const value = `${prefix}${route.startsWith("/") ? "" : "/"}${route}`;
      candidates.push({
        rank: (ownRoute ? 0 : 10) + (route.includes("health") ? 0 : 1),
        value,
        source: `${file}:${line}`,
      });
    }
  }
  return candidates.toSorted((a, b) => a.rank - b.rank || byCodeUnit(a.value, b.value))[0];
}

interface RouterQuestion {
  file: string;
  object: string;
  source: string;
  sources: ReadonlyMap<string, string>;
}

/** The prefix under which a router is served, undefined when it can't be told. */
function routerPrefix({ file, object, source, sources }: RouterQuestion): string | undefined {
  const declared = new RegExp(`^${object}\\s*(?::\\s*\\w+\\s*)?=\\s*APIRouter\\(([^)]*)\\)`, "m").exec(source);
  if (!declared) return undefined;
  const own = prefixIn(declared[1] ?? "");
  const module = file.replace(/\.py$/, "").split("/").at(-1) ?? "";
  if (own === undefined) return undefined;
  for (const other of sources.values()) {
    const included = new RegExp(
      `\\.include_router\\(\\s*(?:[\\w.]*\\b${module}\\.${object}|${module}_${object}|${module})\\s*([,)][^)]*)`,
    ).exec(other);
    if (!included) continue;
    const outer = prefixIn(included[1] ?? "");
    const receiver = other.slice(0, included.index).match(/(\w+)$/)?.[1];
    // A router inside a router has prefixes further out, which this does not follow.
    if (
      outer === undefined ||
      receiver === undefined ||
      !new RegExp(`^\\s*${receiver}\\b[^=\\n]*=\\s*(?:\\w+\\.)?FastAPI\\(`, "m").test(other)
    )
      return undefined;
    return outer + own;
  }
  return undefined;
}

/** A literal `prefix="…"` among arguments, `""` for none, undefined for one that is computed. */
function prefixIn(text: string): string | undefined {
  if (!/\bprefix\s*=/.test(text)) return "";
  return /\bprefix\s*=\s*["']([^"'{}]*)["']/.exec(text)?.[1];
}
