import { isTable, tableAt, type TomlTable } from "../toml.ts";
import type { ConfigProblem } from "./config-problem.ts";
import { contractProblems } from "./contract-problems.ts";
import { parseSize } from "./parse-size.ts";

/** Values of the right type that make no sense: sizes, URLs, app paths, versions, platforms. */
export function valueProblems(config: TomlTable): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const check = (path: string[], value: unknown, complaint: (text: string) => string | undefined): void => {
    const message = typeof value === "string" ? complaint(value) : undefined;
    if (message !== undefined) problems.push({ path, message });
  };
  check(["python"], config["python"], pythonProblem);
  check(["user"], config["user"], userProblem);
  if (Array.isArray(config["platforms"])) {
    for (const [index, platform] of config["platforms"].entries())
      check(["platforms", String(index)], platform, platformProblem);
  }
  checkEnvironment(config["env"], ["env"], problems);
  problems.push(...contractProblems(config["contract"], ["contract"]));
  for (const [name, image] of Object.entries(tableAt(config, "images"))) {
    const path = ["images", name];
    if (!/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(name)) {
      problems.push({
        path,
        message: "is not an image name: lower-case letters, digits and single . _ - between them",
      });
    }
    if (!isTable(image)) continue;
    check([...path, "budget"], image["budget"], sizeProblem);
    check([...path, "health"], image["health"], urlProblem);
    check([...path, "app"], image["app"], appProblem);
    check([...path, "workdir"], image["workdir"], workdirProblem);
    check([...path, "stop-signal"], image["stop-signal"], signalProblem);
    check([...path, "user"], image["user"], userProblem);
    checkEnvironment(image["env"], [...path, "env"], problems);
    problems.push(...contractProblems(image["contract"], [...path, "contract"]));
    checkKind(image, path, problems);
  }
  return problems;
}

/** What says something about Python code only. */
const pythonKeys = [
  "role",
  "app",
  "extras",
  "groups",
  "requirements",
  "health-client",
  "allow-missing",
  "gpu",
] as const;

/** Keys of the one kind of image in the other. */
function checkKind(image: TomlTable, path: string[], problems: ConfigProblem[]): void {
  if (image["kind"] !== "debian") {
    if ("user" in image)
      problems.push({
        path: [...path, "user"],
        message: 'is for images of kind = "debian"; for the app it is set once for all images: user',
      });
    return;
  }
  for (const key of pythonKeys) {
    if (key in image)
      problems.push({ path: [...path, key], message: 'says nothing to kind = "debian": there is no Python in it' });
  }
  const packages = image["packages"];
  if (!Array.isArray(packages) || packages.length === 0)
    problems.push({
      path: [...path, "packages"],
      message: 'names what kind = "debian" is made of, for example ["redis-server"]',
    });
}

function checkEnvironment(value: unknown, path: string[], problems: ConfigProblem[]): void {
  if (!isTable(value)) return;
  for (const name of Object.keys(value)) {
    if (name === "" || /[=\0\s]/.test(name)) {
      problems.push({
        path: [...path, name],
        message: `${JSON.stringify(name)} is not a name of an environment variable`,
      });
    }
  }
}

function sizeProblem(text: string): string | undefined {
  return parseSize(text) === undefined ? `${JSON.stringify(text)} is not a size, for example "300MB"` : undefined;
}

function urlProblem(text: string): string | undefined {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return undefined;
  return `${JSON.stringify(text)} is not a URL, for example "http://localhost:8000/health"`;
}

function appProblem(text: string): string | undefined {
  if (/^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*(?:\(\))?$/.test(text)) return undefined;
  return `${JSON.stringify(text)} is not a module and an attribute, for example "app.main:app" or "app.main:create_app()"`;
}

function pythonProblem(text: string): string | undefined {
  return /^3\.\d+(?:\.\d+)?$/.test(text)
    ? undefined
    : `${JSON.stringify(text)} is not a Python version, for example "3.12"`;
}

function userProblem(text: string): string | undefined {
  if (/^[a-z_][a-z0-9_-]{0,31}$/.test(text)) return undefined;
  return `${JSON.stringify(text)} is not a user name, for example "appuser"; set its number with uid`;
}

function platformProblem(text: string): string | undefined {
  if (/^linux\/(?:amd64|arm64(?:\/v8)?)$/.test(text)) return undefined;
  return `${JSON.stringify(text)} is not a platform that Sheaf builds for: linux/amd64, linux/arm64`;
}

function workdirProblem(text: string): string | undefined {
  return text.startsWith("/") ? undefined : `${JSON.stringify(text)} is not an absolute path, for example "/app"`;
}

function signalProblem(text: string): string | undefined {
  return /^(?:SIG[A-Z0-9+-]+|\d{1,2})$/.test(text)
    ? undefined
    : `${JSON.stringify(text)} is not a signal, for example "SIGTERM"`;
}
