import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";

import { tarEnd, tarHeader, tarPadding } from "../../src/archive/tar-write.ts";
import { findProgram } from "../../src/host/programs.ts";
import { buildImage, type Image, type Layer } from "../../src/oci/image.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import { hostPlatform } from "../../src/platform.ts";
import { sha256 } from "../../src/store/store.ts";

/** One entry of a test layer: a file unless it says otherwise. */
export interface Piece {
  path: string;
  data?: string | Uint8Array;
  type?: "file" | "directory" | "symlink" | "hardlink";
  target?: string;
  mode?: number;
  uid?: number;
  gid?: number;
}

export function tarOf(pieces: Piece[]): Uint8Array {
  const chunks = pieces.flatMap((piece) => {
    const type = piece.type ?? "file";
    const data = Buffer.from(piece.data ?? "");
    const header = tarHeader({
      path: piece.path,
      type,
      mode: piece.mode ?? (type === "directory" ? 0o755 : 0o644),
      uid: piece.uid ?? 0,
      gid: piece.gid ?? 0,
      mtime: 0,
      size: data.length,
      ...(piece.target === undefined ? {} : { target: piece.target }),
    });
    return type === "file" ? [header, data, tarPadding(data.length)] : [header];
  });
  return Buffer.concat([...chunks, tarEnd]);
}

export function layerOf(pieces: Piece[], level = 6): Layer {
  return layerOfTar(tarOf(pieces), level);
}

export function layerOfTar(tar: Uint8Array, level = 6): Layer {
  const compressed = gzipSync(tar, { level });
  return {
    digest: sha256(compressed),
    diffId: sha256(tar),
    size: compressed.length,
    unpackedSize: tar.length,
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
    kind: "app",
    createdBy: "test",
    compressed: () => chunksOf(compressed),
    uncompressed: () => chunksOf(tar),
  };
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 65_536) yield bytes.subarray(offset, offset + 65_536);
}

export function imageOf(layers: Layer[], config: RuntimeConfig = {}): Image {
  const architecture = hostPlatform()?.architecture ?? "amd64";
  return buildImage({ layers, config: { os: "linux", architecture, config } });
}

/** Where busybox gives all that a shell script needs in one static file. */
const applets = [
  "sh",
  "sleep",
  "cat",
  "id",
  "ls",
  "touch",
  "test",
  "wget",
  "mkdir",
  "rm",
  "grep",
  "env",
  "pwd",
  "ps",
  "stat",
  "wc",
  "head",
];

/**
 * A layer with a shell and the usual tools: this machine's busybox when it is static, else its own programs with their libraries.
 */
export function shellLayer(): Layer {
  cachedShell ??= layerOf([...accounts, ...(busyboxPieces() ?? hostPieces()), ...folders]);
  return cachedShell;
}

let cachedShell: Layer | undefined;

const accounts: Piece[] = [
  { path: "etc", type: "directory" },
  { path: "etc/passwd", data: "root:x:0:0:root:/root:/bin/sh\nappuser:x:10001:10001::/home/appuser:/bin/sh\n" },
  { path: "etc/group", data: "root:x:0:\nappuser:x:10001:\n" },
  { path: "etc/shadow", data: "root:*::\n", mode: 0o640 },
];

const folders: Piece[] = [
  { path: "app", type: "directory" },
  { path: "app/main.txt", data: "main\n" },
  { path: "home/appuser", type: "directory", uid: 10001, gid: 10001 },
  { path: "root", type: "directory", mode: 0o700 },
];

function busyboxPieces(): Piece[] | undefined {
  const busybox = findProgram("busybox");
  if (!busybox || /=>|ld-/.test(ldd(busybox))) return undefined;
  return [
    { path: "bin", type: "directory" },
    { path: "bin/busybox", data: fs.readFileSync(busybox), mode: 0o755 },
    ...applets.map((name): Piece => ({ path: `bin/${name}`, type: "symlink", target: "busybox" })),
  ];
}

function hostPieces(): Piece[] {
  const programs = applets.flatMap((name) => findProgram(name) ?? []);
  return [
    ...programs.map((file): Piece => ({
      path: `bin/${path.basename(file)}`,
      data: fs.readFileSync(file),
      mode: 0o755,
    })),
    ...librariesOf(programs),
  ];
}

/** The shared libraries of programs of this machine, at the paths where their loader looks. */
export function librariesOf(programs: string[]): Piece[] {
  const files = new Set(programs.flatMap((file) => ldd(file).match(/\/[^\s():]+/g) ?? []).values());
  return [...files]
    .filter((file) => !programs.includes(file))
    .map((file) => ({ path: file.slice(1), data: fs.readFileSync(file), mode: 0o755 }));
}

function ldd(file: string): string {
  try {
    return execFileSync("ldd", [file], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return "";
  }
}
