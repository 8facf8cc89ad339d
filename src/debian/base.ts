/** Packages of a composed base, named as any suite knows them; their libraries come with the closure. */
export function basePackages(options: { shell: boolean }): string[] {
  const names = [
    "base-files",
    "base-passwd",
    "ca-certificates",
    "libc6",
    "libstdc++6",
    "netbase",
    "tini",
    "tzdata",
    "zlib1g",
  ];
  return options.shell ? [...names, "busybox"].toSorted() : names;
}

/** Package → why it is taken without its dependencies. */
export const withoutDependencies: ReadonlyMap<string, string> = new Map([
  ["base-files", "its dependency on an awk serves its maintainer script"],
  ["base-passwd", "of it only the tables of users and groups are used, not the tool that merges them"],
  [
    "ca-certificates",
    "of it only the certificates are used; the bundle is put together at build time, without openssl",
  ],
  ["tzdata", "it depends on debconf to ask for the time zone"],
]);

/** Tools that only maintainer scripts use. None is run, so packages that depend on these get on without. */
export const toolsOfScripts: ReadonlySet<string> = new Set([
  "adduser",
  "cdebconf",
  "debconf",
  "debconf-2.0",
  "dpkg",
  "init-system-helpers",
  "install-info",
  "lsb-base",
  "passwd",
  "sysvinit-utils",
  "ucf",
]);
