import type { AppKind } from "./app-kinds.ts";
import type { StartTarget } from "./start-targets.ts";

/** An app before it is weighed. */
export interface Candidate {
  kind: AppKind;
  file: string;
  attribute: string;
  line: number;
  factory: boolean;
  what: string;
  /** Name of an app of the same module that it is put around. */
  wraps?: string;
  /** `file:name` of the definition when this is an import of it. */
  imported?: string;
  /** Keyword arguments and calls on it that show that it is the real one. */
  signs: string[];
  /** `file:name` of apps that it mounts. */
  mounts: string[];
}

interface ScoreContext {
  module: string;
  all: readonly Candidate[];
  targets: readonly StartTarget[];
}

/** How likely a candidate is the app that its owner runs, in points, with the reason for each. */
export function scoreApp(candidate: Candidate, context: ScoreContext): { score: number; reasons: string[] } {
  const { kind, file, attribute, factory } = candidate;
  let score = 0;
  const reasons: string[] = [];
  const add = (points: number, reason: string): void => {
    if (points === 0) return;
    score += points;
    reasons.push(reason);
  };
  const name = file.slice(file.lastIndexOf("/") + 1);
  const target = context.targets.find(
    (one) => one.kind === kind && one.module === context.module && (one.attribute ?? attribute) === attribute,
  );
  if (target) add(100, `started by ${target.source}`);
  add(kind === "fastapi" ? (apiFiles[name] ?? 0) : celeryFile(name), `in ${name}`);
  add(
    attribute === "app" || attribute === "application" || /^celery(?:_app)?$/.test(attribute)
      ? 6
      : attribute === "api"
        ? 3
        : 0,
    `called ${attribute}`,
  );
  if (candidate.wraps !== undefined) add(12, `${candidate.what}`);
  const mountedBy = context.all.find((other) => other !== candidate && other.mounts.includes(`${file}:${attribute}`));
  if (mountedBy) add(-60, `mounted by ${mountedBy.file}:${mountedBy.line}`);
  if (candidate.mounts.some((mounted) => context.all.some((other) => `${other.file}:${other.attribute}` === mounted)))
    add(8, "mounts the others");
  const signs = new Set(candidate.signs.filter((sign) => realSigns.has(sign)));
  if (signs.size > 0) add(Math.min(6, signs.size * 2), `has ${[...signs].toSorted().join(", ")}`);
  if (factory && context.all.some((other) => !other.factory && other.kind === kind))
    add(-20, "is a factory beside an object");
  if (
    candidate.imported !== undefined &&
    context.all.some((other) => `${other.file}:${other.attribute}` === candidate.imported)
  ) {
    add(-10, `imported from ${candidate.imported}`);
  }
  const depth = file.split("/").length - 1;
  if (depth > 2) add(-2 * (depth - 2), `${depth} folders deep`);
  return { score, reasons };
}

const apiFiles: Record<string, number | undefined> = {
  "main.py": 30,
  "asgi.py": 28,
  "app.py": 24,
  "server.py": 20,
  "application.py": 18,
  "api.py": 14,
  "__init__.py": 10,
  "web.py": 10,
};

function celeryFile(name: string): number {
  if (/^celery(?:_?app)?\.py$/.test(name)) return 30;
  if (/celery/.test(name)) return 26;
  return /worker|task|queue/.test(name) ? 20 : 0;
}

/** What only the app that a service runs gets. */
const realSigns = new Set([
  "include_router",
  "add_middleware",
  "mount",
  "add_exception_handler",
  "lifespan",
  "broker",
  "backend",
  "include",
  "autodiscover_tasks",
  "config_from_object",
]);
