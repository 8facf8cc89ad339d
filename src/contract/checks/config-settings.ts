import type { StaticCheck } from "../check.ts";
import { fail, notApplicable, pass } from "../finding.ts";
import { environmentOf } from "../facts/programs.ts";
import { startWords } from "../role.ts";

/** Characters; people's commands are shorter. */
const longestCommand = 10_000;

/** The port that a server's command line names. */
export function portOfCommand(words: readonly string[]): number | undefined {
  const text = words.join(" ").slice(0, longestCommand);
  const found =
    /(?:^|\s)(?:--port[= ]|-p )(\d{2,5})\b/.exec(text)?.[1] ??
    /(?:^|\s)(?:--bind[= ]|-b )\S*:(\d{2,5})\b/.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

export const configPorts: StaticCheck = {
  id: "config.ports",
  title: "the port that the server listens on is exposed",
  holds: "ExposedPorts has the ports of the contract, and the one that the command's --port or --bind names.",
  why: "`docker run -P`, compose, Podman and platforms take the port from here; one that nobody listens on costs an evening.",
  sources: ["image-spec, config.md: ExposedPorts", "Dockerfile reference: EXPOSE"],
  run: ({ image, contract }) => {
    const config = image.config.config ?? {};
    const exposed = Object.keys(config.ExposedPorts ?? {});
    const numbers = exposed.map((port) => Number(port.replace(/\/tcp$/, "")));
    const listening = contract.role === "api" ? portOfCommand(startWords(config)) : undefined;
    const wanted = contract.ports ?? (listening === undefined || exposed.length === 0 ? [] : [listening]);
    if (wanted.length === 0)
      return notApplicable(exposed.length === 0 ? "no port is promised" : `exposed is ${exposed.join(", ")}`);
    const missing = wanted.filter((port) => !numbers.includes(port));
    const limit = wanted.join(", ");
    if (missing.length === 0) return pass(`port ${limit}`, { limit });
    return fail(`${exposed.length === 0 ? "no port is exposed" : `exposed is ${exposed.join(", ")}`}`, {
      limit,
      hint: `EXPOSE ${missing.join(" ")}`,
    });
  },
};

export const configStopSignal: StaticCheck = {
  id: "config.stop-signal",
  title: "the stop signal is one that servers end on",
  holds: "StopSignal is the contract's; otherwise SIGTERM, SIGINT or SIGQUIT, or unset, which is SIGTERM.",
  why: "Any other signal is ignored or ends the process without its finishing anything: requests and tasks are lost.",
  sources: ["image-spec, config.md: StopSignal", "signal(7)"],
  run: ({ image, contract }) => {
    const signal = image.config.config?.StopSignal;
    const name = signalName(signal ?? "SIGTERM");
    if (contract.stopSignal !== undefined) {
      const limit = signalName(contract.stopSignal);
      return name === limit
        ? pass(name, { limit })
        : fail(`the stop signal is ${name}`, { limit, hint: `STOPSIGNAL ${limit}` });
    }
    if (["SIGTERM", "SIGINT", "SIGQUIT", "SIGWINCH", "SIGRTMIN+3"].includes(name)) return pass(name);
    return fail(`the stop signal is ${name}`, {
      hint: "STOPSIGNAL SIGTERM, which uvicorn, gunicorn and Celery end on",
    });
  },
};

function signalName(signal: string): string {
  const names: Record<string, string | undefined> = { "2": "SIGINT", "3": "SIGQUIT", "9": "SIGKILL", "15": "SIGTERM" };
  const upper = signal.toUpperCase();
  return names[upper] ?? (upper.startsWith("SIG") ? upper : `SIG${upper}`);
}

export const configEnv: StaticCheck = {
  id: "config.env",
  title: "variables are well-formed and as promised",
  holds:
    "Every Env entry is NAME=value, no name comes twice, PATH has absolute folders only, and the contract's variables have their values.",
  why: "Engines take malformed entries differently; of a name that comes twice the shell and Python see different ones; a relative PATH runs what lies in the working directory.",
  sources: ["image-spec, config.md: Env", "environ(7)"],
  run: ({ image, contract }) => {
    const config = image.config.config ?? {};
    const lines = config.Env ?? [];
    const names = lines.map((line) => line.slice(0, Math.max(0, line.indexOf("="))));
    const variables = environmentOf(config);
    const problems = [
      ...lines.filter((line) => !/^[^=\0]+=/.test(line)).map((line) => `${JSON.stringify(line)} is not NAME=value`),
      ...names
        .filter((name, index) => name !== "" && names.indexOf(name) !== index)
        .map((name) => `${name} is set twice`),
      ...relativeFolders(variables.get("PATH")).map(
        (folder) => `PATH has ${JSON.stringify(folder)}, which is relative`,
      ),
      ...Object.entries(contract.env).flatMap(([name, value]) =>
        variables.get(name) === value
          ? []
          : [`${name} is ${shown(variables.get(name))}, promised is ${JSON.stringify(value)}`],
      ),
    ];
    const [first] = problems;
    if (first === undefined) return pass(`${lines.length} variables`);
    return fail(first, { evidence: problems.slice(0, 20), hint: "set it with ENV NAME=value, once" });
  },
};

function relativeFolders(path: string | undefined): string[] {
  return path === undefined || path === "" ? [] : path.split(":").filter((folder) => !folder.startsWith("/"));
}

function shown(value: string | undefined): string {
  return value === undefined ? "not set" : JSON.stringify(value);
}

export const configLabels: StaticCheck = {
  id: "config.labels",
  title: "labels say what the image is, in OCI's words",
  holds:
    "The labels of the contract are there and not empty; `org.opencontainers.image.*` that are there have the form that the specification asks for.",
  why: "Registries, scanners and people find source, version and base by these labels.",
  sources: ["image-spec, annotations.md#pre-defined-annotation-keys"],
  run: ({ image, contract }) => {
    const labels = image.config.config?.Labels ?? {};
    const missing = contract.labels.filter((name) => !labels[name]);
    const malformed = Object.entries(labels).flatMap(([name, value]) => malformedLabel(name, String(value)));
    const [first] = [...missing.map((name) => `the label ${name} is not set`), ...malformed];
    if (first !== undefined) {
      return fail(first, {
        evidence: [...missing.map((name) => `missing: ${name}`), ...malformed].slice(0, 20),
        hint: missing.length > 0 ? `LABEL ${missing[0]}="…"` : "write it as the specification asks",
      });
    }
    const count = Object.keys(labels).length;
    return count === 0 && contract.labels.length === 0
      ? notApplicable("no labels are promised")
      : pass(`${count} labels`);
  },
};

const prefix = "org.opencontainers.image.";

function malformedLabel(name: string, value: string): string[] {
  if (!name.startsWith(prefix)) return [];
  const key = name.slice(prefix.length);
  const bad = (what: string) => [`the label ${name} is ${JSON.stringify(value.slice(0, 80))}, not ${what}`];
  if (key === "created" && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(value))
    return bad("a date of RFC 3339");
  if (
    ["url", "source", "documentation"].includes(key) &&
    value !== "" &&
    !/^[a-z][a-z0-9+.-]*:\S+$|^git@\S+$/i.test(value)
  )
    return bad("a URL");
  if (key === "base.digest" && !/^sha256:[0-9a-f]{64}$/.test(value)) return bad("a digest");
  return [];
}
