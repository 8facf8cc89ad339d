/** Names of variables that hold the address of a Redis, or of a broker that may be one. */
export const redisUrlName =
  /^(?:\w+_)?(?:REDIS|BROKER|CELERY|CELERY_BROKER|CELERY_RESULT|RESULT_BACKEND|CACHE|VALKEY)(?:_(?:URL|URI|DSN))$|^(?:CELERY_)?(?:BROKER_URL|RESULT_BACKEND)$/;
export const redisPartName = /^(?:REDIS|VALKEY|BROKER)_?(HOST|SERVER|PORT)$/;

/**
 * What a variable has to be for it to lead to a Redis; undefined for one that leads elsewhere, or nowhere. The number of the database
 * is kept.
 * @param setting its name, and the value that it has where nobody sets it
 */
export function redisVariable(
  { name, default: text = "" }: { name: string; default?: string },
  host: string,
  port: number,
): string | undefined {
  const match = /^redis:\/\/[^/]*(?:\/(\d+))?/.exec(text);
  const isOther = !match && /^\w+(?:\+\w+)?:\/\//.test(text);
  if (match || (redisUrlName.test(name) && !isOther)) return `redis://${host}:${port}/${match?.[1] ?? "0"}`;
  const part = redisPartName.exec(name)?.[1];
  if (part === "HOST" || part === "SERVER") return host;
  return part === "PORT" ? String(port) : undefined;
}
