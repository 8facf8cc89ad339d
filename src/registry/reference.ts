import type { Digest } from "../store/store.ts";

/** The name of an image in a registry: `registry.example.test:5000/team/app:1.0@sha256:…`. */
export interface RegistryReference {
  /** `registry.example.test:5000` */
  host: string;
  /** `team/app` */
  repository: string;
  /** `latest` where neither a tag nor a digest is given. */
  tag?: string;
  digest?: Digest;
  /** Whether the name has its host, which Docker Hub's short names leave out. */
  qualified: boolean;
}

/** Where names without a host lead, as in every engine. */
const defaultHost = "docker.io";

/**
 * Reads a name by the grammar of Docker and of the OCI distribution-spec ("Pulling manifests"); undefined when it is none.
 * The first segment is a host when it has a dot, a colon or a capital, or is `localhost`.
 */
export function parseRegistryReference(text: string): RegistryReference | undefined {
  const [, name, tag, digest] =
    /^([^@\s]+?)(?::([A-Za-z0-9_][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(text) ?? [];
  if (name === undefined || name.length > 255) return undefined;
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  const qualified = /[.:A-Z]/.test(first) || first === "localhost";
  const host = qualified ? first : defaultHost;
  if (!isHost(host)) return undefined;
  const path = qualified ? name.slice(slash + 1) : name;
  const repository = host === defaultHost && !path.includes("/") ? `library/${path}` : path;
  if (!repository.split("/").every((segment) => /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*$/.test(segment)))
    return undefined;
  return {
    host,
    repository,
    ...(digest === undefined ? { tag: tag ?? "latest" } : { tag, digest: digest as Digest }),
    qualified,
  };
}

/** The whole name, with its host. */
export function formatReference({ host, repository, tag, digest }: RegistryReference): string {
  return `${host}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** The host that answers for a name's host: Docker Hub's API is elsewhere. */
export function apiHost(host: string): string {
  return host === defaultHost || host === `index.${defaultHost}` ? `registry-1.${defaultHost}` : host;
}

/** Hosts of this machine, which may be spoken to without TLS. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/.test(host);
}

function isHost(text: string): boolean {
  const [, port] = /:(\d{1,5})$/.exec(text) ?? [];
  const name = port === undefined ? text : text.slice(0, -port.length - 1);
  if (port !== undefined && Number(port) > 65_535) return false;
  return (
    /^\[[0-9a-fA-F:]+\]$/.test(name) ||
    name.split(".").every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/.test(label))
  );
}
