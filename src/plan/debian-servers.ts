import type { HealthPlan } from "./image-plan.ts";

/** What a server from Debian needs to run in a container, so that naming its package is enough. */
export interface DebianServer {
  /** What it is to an application. */
  service: "redis" | "postgres" | "memcached";
  /** Name of the user that its package makes. */
  user: string;
  command: string[];
  port: number;
  test: string[];
  /** Folders that it writes to; the first is its data. */
  writable: string[];
  env: Record<string, string>;
  stopSignal?: string;
  /** Dependencies that serve the administration of a whole machine, each with what it would do. */
  without?: Record<string, string>;
  /** Files of Sheaf's own, by path. */
  files?: Record<string, string>;
}

/** The server among packages that somebody asks for, if it is one that is known. */
export function debianServer(packages: readonly string[]): DebianServer | undefined {
  for (const name of packages) {
    const plain = name.split("=")[0] ?? name;
    if (plain === "redis-server" || plain === "redis") return redis("redis");
    if (plain === "valkey-server" || plain === "valkey") return redis("valkey");
    if (plain === "memcached") return memcached;
    const version = /^postgresql-(\d+)$/.exec(plain)?.[1];
    if (version !== undefined) return postgres(version);
  }
  return undefined;
}

/** How often a server that answers in milliseconds is asked: others wait for its first answer. */
export const serverProbe: Omit<HealthPlan, "test"> = { interval: 5, timeout: 3, startPeriod: 60, retries: 5 };

/** Debian's redis.conf is for a machine: it becomes a daemon and listens on the loopback alone. */
function redis(name: "redis" | "valkey"): DebianServer {
  const data = `/var/lib/${name}`;
  return {
    service: "redis",
    user: name,
    // Nothing is in front of it but the container's network, and a queue survives a restart.
    command: [
      ...[`${name}-server`, "--bind", "*", "-::*", "--protected-mode", "no"],
      ...["--dir", data, "--appendonly", "yes"],
    ],
    port: 6379,
    test: [`${name}-cli`, "-e", "ping"],
    writable: [data],
    env: {},
  };
}

const memcached: DebianServer = {
  service: "memcached",
  user: "memcache",
  command: ["memcached", "--listen=0.0.0.0", "--port=11211"],
  port: 11_211,
  test: ["sh", "-c", "echo version | nc -w 2 127.0.0.1 11211 | grep -q VERSION"],
  writable: [],
  env: {},
};

function postgres(version: string): DebianServer {
  const folder = `/usr/lib/postgresql/${version}/bin`;
  return {
    service: "postgres",
    user: "postgres",
    command: ["start-postgres"],
    port: 5432,
    // Over TCP, on which it listens only when the cluster is made and open.
    test: ["pg_isready", "-q", "-h", "127.0.0.1"],
    writable: ["/var/lib/postgresql"],
    env: { PATH: `/usr/local/bin:${folder}:/usr/sbin:/usr/bin:/sbin:/bin`, PGDATA: "/var/lib/postgresql/data" },
    // SIGTERM would wait until the last client has gone.
    stopSignal: "SIGINT",
    without: {
      "postgresql-common": "its Perl programs manage the clusters of a machine",
      "postgresql-client-common": "its Perl programs choose among the versions of a machine",
      "ssl-cert": "it makes a certificate for a machine's name",
      locales: "C.UTF-8 is in libc-bin",
    },
    files: { "/usr/local/bin/start-postgres": startPostgres },
  };
}

/** What postgresql-common's scripts do when they are installed, a container does when it starts on an empty volume. */
const startPostgres = `#!/bin/sh
# Makes a cluster in $PGDATA when there is none, and becomes the server. Arguments go to the server.
#   POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE with a path: needed for the first start alone
#   POSTGRES_USER: the superuser, postgres unless set; POSTGRES_DB: a database, named like the user unless set
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user="\${POSTGRES_USER:-postgres}"
  database="\${POSTGRES_DB:-$user}"
  password="\${POSTGRES_PASSWORD:-}"
  if [ -n "\${POSTGRES_PASSWORD_FILE:-}" ]; then password="$(cat "$POSTGRES_PASSWORD_FILE")"; fi
  if [ -z "$password" ]; then
    echo "start-postgres: $PGDATA is empty: set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE to the path of a file, to make a cluster" >&2
    exit 2
  fi
  # Made beside and renamed at the end: what was interrupted is never taken for a cluster.
  rm -rf "$PGDATA.new"
  printf '%s\\n' "$password" | initdb --pgdata="$PGDATA.new" --username="$user" --pwfile=/dev/stdin \\
    --encoding=UTF8 --locale=C.UTF-8 --auth-local=scram-sha-256 --auth-host=scram-sha-256 --no-instructions
  echo "host all all all scram-sha-256" >> "$PGDATA.new/pg_hba.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE "%s";\\n' "$(printf '%s' "$database" | sed 's/"/""/g')" |
      postgres --single -j -D "$PGDATA.new" postgres >/dev/null
  fi
  if [ -d "$PGDATA" ]; then rmdir "$PGDATA"; fi
  mv "$PGDATA.new" "$PGDATA"
fi
unset POSTGRES_PASSWORD
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
`;
