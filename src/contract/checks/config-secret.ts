import type { StaticCheck } from "../check.ts";
import { fail, pass } from "../finding.ts";
import { secretInText } from "../facts/secret-content.ts";

interface Place {
  where: string;
  name: string;
  value: string;
}

export const configSecret: StaticCheck = {
  id: "config.secret",
  title: "no secret in variables, labels, history or build arguments",
  holds:
    "No Env, label, ARG or ENV of the history has a name such as PASSWORD, TOKEN or API_KEY with a value, a URL with a password, or a value with the form of an issued key.",
  why: "Whoever may pull the image reads its config and history without running anything: `docker history --no-trunc` shows build arguments for ever.",
  sources: ["CIS Docker Benchmark 4.10", "BuildKit check SecretsUsedInArgOrEnv"],
  run: ({ image }) => {
    const config = image.config.config ?? {};
    const history = (image.config.history ?? []).map(({ created_by = "" }) => created_by);
    const places = [
      ...(config.Env ?? []).map((line) => placeOf("variable", line)),
      ...Object.entries(config.Labels ?? {}).map(([name, value]) => ({ where: "label", name, value: String(value) })),
      ...history.flatMap(placesInHistory),
    ];
    const found = new Map(places.filter(isSecret).map((place) => [place.name, place]));
    const texts = history.flatMap((line, index) => {
      const secret = secretInText("", line);
      return secret === undefined ? [] : [`entry ${index} of the history ${secret}`];
    });
    const evidence = [...found.values()]
      .map(({ where, name, value }) => `${where} ${name}: ${masked(value)}`)
      .concat(texts);
    const [first] = found.values();
    if (!first && texts.length === 0) return pass("nothing in variables, labels and history");
    return fail(first ? `the ${first.where} ${first.name} holds a secret` : (texts[0] ?? ""), {
      evidence,
      hint: "give it at run time (an environment file, a mounted secret), and to a build with RUN --mount=type=secret; then issue a new one: this one is out",
    });
  },
};

function placeOf(where: string, line: string): Place {
  const equals = line.indexOf("=");
  return equals < 0
    ? { where, name: line, value: "" }
    : { where, name: line.slice(0, equals), value: line.slice(equals + 1) };
}

/** `ARG NAME=value`, `ENV NAME=value`, and the arguments that the classic builder writes before a RUN: `|2 NAME=value … /bin/sh -c`. */
function placesInHistory(line: string): Place[] {
  const instruction = /^(?:\/bin\/sh -c #\(nop\)\s+)?(ARG|ENV|LABEL)\s+(.*)$/s.exec(line);
  if (instruction) {
    const [, keyword = "", text = ""] = instruction;
    if (keyword === "LABEL") return [];
    return [...text.matchAll(/\b(\w+)=("[^"]*"|'[^']*'|\S*)/g)].map(([, name = "", value = ""]) => ({
      where: keyword === "ARG" ? "build argument" : "variable",
      name,
      value: value.replace(/^["']|["']$/g, ""),
    }));
  }
  const [, count = "", rest = ""] = /^(?:RUN )?\|(\d{1,3}) (.*)$/s.exec(line) ?? [];
  return rest
    .split(" ")
    .slice(0, Number(count))
    .map((word) => placeOf("build argument", word));
}

const secretName =
  /(?:^|[_.-])(?:pass(?:word|wd|phrase)?|secret(?:[_-]?key)?|token|api[_-]?key|private[_-]?key|(?:secret|access)[_-]?key(?:[_-]id)?|client[_-]secret|credentials?|encryption[_-]?key)$/i;
const passwordInUrl = /^[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:([^\s@/]+)@[^\s/]+/i;
const usualDefaults =
  /^(?:pass(?:word|wd)?|postgres|root|admin|user|guest|secret|test|redis|rabbitmq|minio(?:admin)?|none|null|true|false|change.*|dev|local|todo|unset)$/i;

function isSecret({ name, value }: Place): boolean {
  if (secretInText("", value) !== undefined) return true;
  const password = passwordInUrl.exec(value)?.[1];
  if (password !== undefined) return !usualDefaults.test(password) && !madeUp.test(password);
  if (!secretName.test(name.replace(/([a-z])([A-Z])/g, "$1_$2"))) return false;
  if (value.length < 6 || /^\d+$/.test(value) || /^(?:\/|\$|https?:\/\/)/.test(value) || usualDefaults.test(value))
    return false;
  return !madeUp.test(value);
}

/** Values that only stand for one. */
const madeUp = /change[-_]?me|replace|placeholder|example|your[-_]|xxxx|<.*>|\$|\*\*\*/i;

/** Enough to find it by, not enough to use it. */
function masked(value: string): string {
  return value.length <= 8 ? "…" : `${value.slice(0, 3)}… (${value.length} characters)`;
}
