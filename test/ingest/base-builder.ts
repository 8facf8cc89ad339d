import * as path from "node:path";

import type { BaseFacts, BaseFiles } from "../../src/ingest/base/facts.ts";
import { baseFiles } from "../../src/ingest/base/facts.ts";
import { BaseImage } from "../../src/ingest/base/base-image.ts";
import { ingestBase } from "../../src/ingest/base/ingest-base.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import type { Image } from "../../src/oci/image.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { buildElf, type ElfSpec } from "../elf/build-elf.ts";
import { d, f, imageOf, layerOf, s, type TarSpec } from "../oci/images.ts";

/** A program or library in a layer. */
export const elf = (at: string, spec: ElfSpec = {}): TarSpec => ({
  ...f(at),
  mode: 0o755,
  content: buildElf({ type: "dyn", ...spec }),
});

const triplet = "x86_64-linux-gnu";

/** The least that a base on glibc has: the C library, os-release, accounts. */
export function distribution({ merged = true, id = "debian", glibc = "2.36" } = {}): TarSpec[] {
  const names = ["bin", "lib", "lib64", "sbin"];
  const library = merged ? "usr/lib" : "lib";
  return [
    ...names.map((name) => (merged ? s(name, `usr/${name}`) : d(name))),
    ...["etc", "home", "usr", ...names.map((name) => `usr/${name}`), `${library}/${triplet}`].map((folder) =>
      d(folder),
    ),
    { ...d("tmp"), mode: 0o1777 },
    f("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nDaemon:x:1:1::/:/bin/false\n"),
    f("etc/group", "root:x:0:\n"),
    { ...f("etc/shadow", "root:!:19000:0:99999:7:::\n"), mode: 0o640, gid: 42 },
    f("usr/lib/os-release", `ID=${id}\nVERSION_CODENAME=bookworm\nPRETTY_NAME="${id} 12"\n`),
    s("etc/os-release", "../usr/lib/os-release"),
    elf(`${library}/${triplet}/libc.so.6`, {
      soname: "libc.so.6",
      versionsDefined: ["libc.so.6", "GLIBC_2.2.5", "GLIBC_2.9", `GLIBC_${glibc}`],
    }),
  ];
}

/** A CPython as the official images install it. */
export function python(version: string, prefix = "usr/local"): TarSpec[] {
  const minor = version.split(".").slice(0, 2).join(".");
  const library = `${prefix}/lib/python${minor}`;
  return [
    d(prefix),
    d(`${prefix}/bin`),
    d(library),
    d(`${library}/site-packages`),
    elf(`${prefix}/bin/python${minor}`, { interpreter: "/lib64/ld-linux-x86-64.so.2" }),
    s(`${prefix}/bin/python3`, `python${minor}`),
    f(`${library}/os.py`, "import abc\n"),
    f(`${library}/abc.py`, ""),
    f(`${library}/test/regrtest.py`, ""),
    f(`${prefix}/include/python${minor}/patchlevel.h`, `#define PY_VERSION      	"${version}"\n`),
  ];
}

/** A distribution, `name 1.0`, as pip leaves it in site-packages. */
export function installed(named: string, files: string[], root: string): TarSpec[] {
  const [name = "", version = ""] = named.split(" ");
  const info = `${root}/${name}-${version}.dist-info`;
  const rows = [...files, `${name}-${version}.dist-info/METADATA`, `${name}-${version}.dist-info/RECORD`];
  return [
    ...files.map((file) => f(path.posix.join(root, file), `${name} ${file}`)),
    f(`${info}/METADATA`, `Name: ${name}\nVersion: ${version}\n`),
    f(`${info}/RECORD`, rows.map((file) => `${file},,\n`).join("")),
  ];
}

export interface ReadBase {
  facts: BaseFacts;
  files: BaseFiles;
  image: BaseImage;
  name?: string;
  store: Store;
  file: string;
  original: Image;
}

/** Writes layers to an archive and reads that as a base. */
export async function readBase(
  folder: string,
  layers: TarSpec[][],
  { config = {}, tags = [] }: { config?: RuntimeConfig; tags?: string[] } = {},
): Promise<ReadBase> {
  const original = imageOf(
    layers.map((entries) => layerOf(entries)),
    { config: { os: "linux", architecture: "amd64", config } },
  );
  const file = path.join(folder, "base.tar");
  await writeDockerArchive(file, original, tags);
  const store = openStore(path.join(folder, "store"));
  const { facts, name } = await ingestBase({
    storeRoot: store.root,
    file,
    platform: { os: "linux", architecture: "amd64" },
  });
  const files = baseFiles(store, facts.digest);
  if (!files) throw new Error("the base's files were not kept");
  const image = new BaseImage(store, { facts, file: "base.tar", ...(name === undefined ? {} : { name }) });
  return { facts, files, image, store, file, original, ...(name === undefined ? {} : { name }) };
}
