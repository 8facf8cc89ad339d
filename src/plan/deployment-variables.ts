import { redisPartName, redisUrlName, redisVariable } from "../project/service-variables.ts";
import type { EnvironmentSetting } from "../project/settings-fields.ts";
import type { BackingService, Database, ValuePart, Wiring } from "./deployment.ts";
import type { ImageSketch } from "./image-plan.ts";

/** The secret that PostgreSQL and its clients share. */
export const databasePassword = "POSTGRES_PASSWORD";

const databaseUrl = /^(?:\w+_)?(?:DATABASE|POSTGRES(?:QL)?|PG|DB|SQLALCHEMY(?:_DATABASE)?)_?(?:URL|URI|DSN)$/;
const databasePart =
  /^(?:POSTGRES(?:QL)?|PG|DB|DATABASE)_?(HOST|SERVER|PORT|USER|USERNAME|PASSWORD|PASS|DB|NAME|DATABASE)$/;
const memcachedPart = /^(?:MEMCACHED?)_?(HOST|SERVER|PORT)$/;

/** The user and the database that the code names as its default, else the project's name for both. */
export function databaseOf(settings: readonly EnvironmentSetting[], project: string): Database {
  const fallback =
    project
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "_")
      .replaceAll(/^_+|_+$/g, "") || "app";
  for (const { default: text } of settings) {
    const match = /^postgres(?:ql)?(?:\+\w+)?:\/\/([\w.-]+)(?::[^@/]*)?@[^/]*\/([\w-]+)/.exec(text ?? "");
    if (match) return { user: match[1] ?? fallback, name: match[2] ?? fallback };
  }
  const named = (pattern: RegExp): string | undefined =>
    settings.find(({ name, default: text }) => pattern.test(name) && /^[\w-]+$/.test(text ?? ""))?.default;
  return {
    user: named(/^(?:POSTGRES(?:QL)?|DB|PG)_?USER(?:NAME)?$/) ?? fallback,
    name: named(/^(?:POSTGRES(?:QL)?|DB|PG)_?(?:DB|NAME|DATABASE)$/) ?? fallback,
  };
}

/** Each setting with where its value comes from, given the services that there are. Sorted by name. */
export function wireVariables(
  settings: readonly EnvironmentSetting[],
  { services, apps }: { services: readonly BackingService[]; apps: readonly ImageSketch[] },
): Wiring[] {
  const inImages = new Map(
    apps.flatMap(({ config }) => Object.entries(config.env).map(([name, { value }]) => [name, value] as const)),
  );
  return settings.map((setting): Wiring => {
    const { name, source, secret, required } = setting;
    const wired = wire(setting, services, apps);
    if (wired) return { name, source, ...wired };
    if (secret)
      return { name, source, value: { kind: "secret", required: required || (setting.default ?? "") !== "" } };
    const inImage = inImages.get(name);
    if (inImage !== undefined) return { name, source, value: { kind: "default", text: inImage } };
    // A default that leads to this very machine leads nowhere in a container.
    if (required || /^\w+(?:\+\w+)?:\/\/(?:[^@/]*@)?(?:localhost|127\.0\.0\.1)\b/.test(setting.default ?? ""))
      return {
        name,
        source,
        value:
          /:\/\//.test(setting.default ?? "") || isAddress(name)
            ? { kind: "secret", required: true }
            : { kind: "required" },
      };
    if (setting.default === undefined || setting.default === "") return { name, source, value: { kind: "optional" } };
    return { name, source, value: { kind: "default", text: setting.default } };
  });
}

/** Whether a variable's name says that it leads to PostgreSQL, Redis or memcached. */
export function leadsToService(name: string): boolean {
  return [databaseUrl, redisUrlName, databasePart, redisPartName, memcachedPart].some((pattern) => pattern.test(name));
}

/** Addresses of databases and brokers have passwords in them. */
function isAddress(name: string): boolean {
  return databaseUrl.test(name) || redisUrlName.test(name);
}

type Wired = Pick<Wiring, "value" | "service">;

function wire(
  setting: EnvironmentSetting,
  services: readonly BackingService[],
  apps: readonly ImageSketch[],
): Wired | undefined {
  const { name, default: text = "" } = setting;
  for (const service of services) {
    const parts =
      service.kind === "postgres"
        ? postgresParts({ name, text }, service, apps)
        : service.kind === "redis"
          ? redisParts({ name, text }, service)
          : partOf(memcachedPart, name, { host: service.name, port: "11211" });
    if (parts === "password")
      return { service: service.kind, value: { kind: "wired", parts: [{ secret: databasePassword }] } };
    if (parts) return { service: service.kind, value: { kind: "wired", parts } };
  }
  return undefined;
}

interface Named {
  name: string;
  text: string;
}

function postgresParts(
  { name, text }: Named,
  { name: host, database }: BackingService,
  apps: readonly ImageSketch[],
): ValuePart[] | "password" | undefined {
  const { user, name: base } = database ?? { user: "postgres", name: "postgres" };
  const scheme = /^(postgres(?:ql)?(?:\+\w+)?):\/\//.exec(text)?.[1];
  const isOther = scheme === undefined && /^\w+(?:\+\w+)?:\/\//.test(text);
  if (scheme !== undefined || (databaseUrl.test(name) && !isOther)) {
    const query = /\?[\w=&.%-]+$/.exec(text)?.[0] ?? "";
    return [`${scheme ?? schemeOf(apps)}://${user}:`, { secret: databasePassword }, `@${host}:5432/${base}${query}`];
  }
  const part = databasePart.exec(name)?.[1];
  if (part === "PASSWORD" || part === "PASS") return "password";
  if (part === "USER" || part === "USERNAME") return [user];
  if (part === "DB" || part === "NAME" || part === "DATABASE") return [base];
  return partOf(databasePart, name, { host, port: "5432" });
}

function redisParts({ name, text }: Named, { name: host }: BackingService): ValuePart[] | undefined {
  const value = redisVariable({ name, default: text }, host, 6379);
  return value === undefined ? undefined : [value];
}

function partOf(
  pattern: RegExp,
  name: string,
  { host, port }: { host: string; port: string },
): ValuePart[] | undefined {
  const part = pattern.exec(name)?.[1];
  if (part === "HOST" || part === "SERVER") return [host];
  return part === "PORT" ? [port] : undefined;
}

/** SQLAlchemy's name of the driver that the images have. */
function schemeOf(apps: readonly ImageSketch[]): string {
  const has = (...names: string[]): boolean =>
    apps.some(
      ({ distributions }) => distributions.includes("sqlalchemy") && names.some((name) => distributions.includes(name)),
    );
  if (has("asyncpg")) return "postgresql+asyncpg";
  if (has("psycopg")) return "postgresql+psycopg";
  return "postgresql";
}
