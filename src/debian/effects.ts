/** What installing a package does beside unpacking its files, as far as an image is concerned. Plain JSON. */
export type DebEffect =
  /** Shared libraries came or went: /etc/ld.so.cache is made anew. */
  | { kind: "ldconfig" }
  /** Certificates for the bundle in /etc/ssl/certs. */
  | { kind: "certificates"; files: { path: string; pem: string }[] }
  /** The tables of users and groups that the distribution begins with (base-passwd). */
  | { kind: "accounts"; passwd: string; group: string }
  | { kind: "group"; name: string; gid?: number }
  | { kind: "user"; name: string; uid?: number; group?: string; home?: string; shell?: string; gecos?: string }
  | { kind: "member"; user: string; group: string }
  | { kind: "alternative"; name: string; link: string; path: string; priority: number; slaves: AlternativeSlave[] }
  /** Mode and owner by name; `create` when the folder is made, not only changed. Absolute path without the slash. */
  | { kind: "directory"; path: string; mode?: number; owner?: string; group?: string; create: boolean }
  /** Mode and owner of a file of the package. */
  | { kind: "attributes"; path: string; mode?: number; owner?: string; group?: string }
  | { kind: "symlink"; path: string; target: string }
  | { kind: "file"; path: string; text: string; mode: number }
  /** The path, when another package has it, would be moved aside. */
  | { kind: "diversion"; path: string; by: string }
  /** Sections for /etc/odbcinst.ini. */
  | { kind: "odbc-driver"; text: string }
  /** A login shell for /etc/shells. */
  | { kind: "shell"; path: string }
  /** Known and left out, because an image has no use for it: services, caches, questions. */
  | { kind: "left-out"; what: string };

export interface AlternativeSlave {
  name: string;
  link: string;
  path: string;
}
