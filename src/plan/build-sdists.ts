import * as fs from "node:fs";
import * as path from "node:path";

import { composeGroup, type GroupRequest } from "../layers/compose-group.ts";
import { systemSegment } from "../layers/system.ts";
import { SheafError } from "../errors.ts";
import { interpreterEntries } from "../ingest/interpreter.ts";
import { damagedInput, withFreshInput } from "../ingest/damaged-input.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import { buildWheel } from "../interpreter/build-wheel.ts";
import { runsHere } from "../interpreter/choose.ts";
import { readSdist } from "../interpreter/sdist.ts";
import { layerFromRecord } from "../oci/compose-layer.ts";
import type { Layer } from "../oci/image.ts";
import { platformName } from "../platform.ts";
import type { Distribution } from "../resolve/resolution.ts";
import type { Digest } from "../store/store.ts";
import type { GatherRequest, ReasonedDeb } from "./gather-request.ts";
import type { InterpreterFacts } from "../ingest/interpreter.ts";
import { debianFiles } from "./debian-files.ts";
import { closeNative } from "./native.ts";
import { resolveRequirements } from "./resolve-requirements.ts";
import type { PlanServices } from "./services.ts";

export interface BuildRequest {
  gather: GatherRequest;
  layout: PythonLayout;
  interpreter: InterpreterFacts | undefined;
  baseDebs: ReasonedDeb[];
}

/** Raised when the same sdist may give another wheel. */
const buildVersion = 1;

/** Debian packages that compile an extension, and what well-known distributions link against. */
// pg_config and others like it are Perl scripts; perl-base is essential in Debian, so nothing depends on it.
const toolchain = ["gcc", "g++", "libc6-dev", "make", "perl-base", "pkg-config"];
const headers: Record<string, string[] | undefined> = {
  cffi: ["libffi-dev"],
  "confluent-kafka": ["librdkafka-dev"],
  gssapi: ["libkrb5-dev"],
  h5py: ["libhdf5-dev"],
  lxml: ["libxml2-dev", "libxslt1-dev"],
  mysqlclient: ["default-libmysqlclient-dev"],
  pillow: ["libjpeg-dev", "zlib1g-dev"],
  "psycopg-c": ["libpq-dev"],
  "psycopg2-binary": ["libpq-dev"],
  psycopg2: ["libpq-dev"],
  pycurl: ["libcurl4-openssl-dev", "libssl-dev"],
  pygit2: ["libgit2-dev"],
  pygraphviz: ["libgraphviz-dev"],
  pylibmc: ["libmemcached-dev", "zlib1g-dev"],
  pymssql: ["freetds-dev"],
  pyodbc: ["unixodbc-dev"],
  "python-ldap": ["libldap-dev", "libsasl2-dev"],
  "python-snappy": ["libsnappy-dev"],
  shapely: ["libgeos-dev"],
  "systemd-python": ["libsystemd-dev"],
  xmlsec: ["libxmlsec1-dev"],
};

/**
 * Replaces each sdist by the wheel that its build makes, in the daemonless sandbox, without network; kept in the store by
 * the sdist's hash.
 * @throws SheafError SHEAF_BUILD, SHEAF_BUILD_PLATFORM
 */
export async function buildSdists(request: BuildRequest, services: PlanServices): Promise<Distribution[]> {
  const { resolution, platform } = request.gather;
  const sandboxes = new Map<string, Promise<Layer[]>>();
  const sandbox = (packages: string[]): Promise<Layer[]> => {
    const key = packages.join(" ");
    const known = sandboxes.get(key) ?? sandboxLayers(packages, request, services);
    sandboxes.set(key, known);
    return known;
  };
  const result: Distribution[] = [];
  for (const distribution of resolution.distributions) {
    if (distribution.kind === "wheel") {
      result.push(distribution);
      continue;
    }
    if (!runsHere(platform)) throw otherPlatform(distribution, platformName(platform));
    result.push(await buildOne(distribution, { request, services, sandbox }));
  }
  return result;
}

interface BuildContext {
  request: BuildRequest;
  services: PlanServices;
  sandbox: (packages: string[]) => Promise<Layer[]>;
}

interface BuiltWheel {
  filename: string;
  digest: Digest;
}

async function buildOne(
  distribution: Distribution,
  { request, services, sandbox }: BuildContext,
): Promise<Distribution> {
  const { store, fetcher, emit } = services;
  const { name, version, filename, url, sha256: hash, size } = distribution;
  const { choice, platform, mtime } = request.gather;
  const over = request.gather.over?.image;
  const key = JSON.stringify([
    buildVersion,
    hash,
    choice.kind,
    choice.version,
    platform,
    mtime,
    ...(over ? [over.key] : []),
  ]);
  const known = store.readRecord<BuiltWheel>("built-wheel", key);
  if (known && store.hasBlob(known.digest)) return asWheel(distribution, known, store.blobPath(known.digest));
  const label = `${name} ${version}`;
  const sdist = await withFreshInput(
    () => fetcher.download({ url, sha256: hash, size, label }),
    async (digest) => {
      const bytes = store.readBlob(digest);
      if (!bytes) throw damagedInput(digest);
      return bytes;
    },
  );
  const started = performance.now();
  emit({ type: "work-start", id: hash, group: "build", label });
  const compiles = [...(await readSdist(sdist, filename)).files.keys()].some((file) =>
    /\.(c|cc|cpp|cxx|pyx|f90)$/.test(file),
  );
  const layers = await sandbox(compiles ? [...toolchain, ...(headers[name] ?? [])] : []);
  const { runInSandbox } = await import("../engine/sandbox.ts");
  const built = await buildWheel(
    { sdist, filename, name, version, layout: request.layout, sourceDateEpoch: mtime },
    {
      store,
      wheelsFor: (requirements) => buildRequirements(requirements, request, services),
      run: (command) =>
        runInSandbox({ store, rootfs: layers, ...command, binds: [...command.binds, ...includeBind(request)] }),
    },
  );
  emit({ type: "work-end", id: hash, group: "build", reused: false });
  emit({
    type: "stage",
    stage: "build",
    message: `${label} from its source, which has no wheel`,
    seconds: (performance.now() - started) / 1000,
  });
  const record: BuiltWheel = { filename: built.filename, digest: store.putBlob(built.bytes) };
  store.writeRecord("built-wheel", key, record);
  return asWheel(distribution, record, store.blobPath(record.digest));
}

function asWheel(distribution: Distribution, { filename, digest }: BuiltWheel, file: string): Distribution {
  return {
    ...distribution,
    kind: "wheel",
    filename,
    sha256: digest.slice("sha256:".length),
    size: undefined,
    url: `file://${file}`,
  };
}

/** Base, interpreter and what a build needs beyond, as the layers of a root file system. */
async function sandboxLayers(
  packages: string[],
  { gather, interpreter, baseDebs }: BuildRequest,
  services: PlanServices,
): Promise<Layer[]> {
  const { archive, platform, mtime, debianPython, choice } = gather;
  const below = gather.over ? { base: gather.over.image } : {};
  const wanted = debianPython && packages.length > 0 ? [...packages, `libpython${choice.minor}-dev`] : packages;
  const tools = await closeNative(
    {
      archive,
      platform,
      objects: interpreter?.elf ?? [],
      links: interpreter?.links ?? [],
      wanted: new Map(wanted.map((name) => [name, "builds sdists"])),
      present: baseDebs,
      ...below,
    },
    { ignoreScripts: gather.ignoreScripts, mtime },
    services,
  );
  const debs = [...baseDebs, ...tools.debs];
  const user = { name: "builder", uid: 20_001, gid: 20_001 };
  const system = systemSegment(
    { debs: debs.map(({ facts }) => facts), elf: interpreter?.elf ?? [], user, platform, shell: true, mtime, ...below },
    services.store,
  );
  const compose = {
    store: services.store,
    compose: services.tasks.layer,
    ...(gather.over ? { over: gather.over.image } : {}),
  };
  const groups: Omit<GroupRequest, "mtime">[] = [{ kind: "base", name: "build tools", ...debianFiles(debs) }];
  if (interpreter) {
    const paths = () => interpreterEntries(services.store, interpreter).map((entry) => entry.path);
    groups.push({
      kind: "python",
      name: "interpreter",
      segments: [interpreter.segment],
      directories: [],
      paths,
      contents: [],
    });
  }
  groups.push({ kind: "system", name: "users and indexes", ...system, contents: [] });
  const composed = await Promise.all(groups.map((group) => composeGroup({ ...group, mtime }, compose)));
  const records = [...(gather.over?.image.facts.layers ?? []), ...composed.map(({ record }) => record)];
  return records.map((record) => layerFromRecord(services.store, record));
}

/** Python's headers stay out of images; a build sees those of the interpreter that was copied. */
function includeBind({ gather, layout }: BuildRequest): { source: string; target: string; readOnly: boolean }[] {
  const { prefix, minor } = gather.choice;
  const source = prefix === undefined ? undefined : path.join(prefix, "include", `python${minor}`);
  return source && fs.existsSync(source) ? [{ source, target: `/${layout.include}`, readOnly: true }] : [];
}

/** The wheels of build requirements, resolved as a project of their own that has only these. */
async function buildRequirements(
  requirements: string[],
  { gather }: BuildRequest,
  services: PlanServices,
): Promise<{ filename: string; bytes: Uint8Array }[]> {
  const { store, fetcher } = services;
  const distributions = await resolveRequirements(requirements, gather.resolution.target, services);
  return Promise.all(
    distributions.map(async ({ name, version, filename, url, sha256: hash, size }) => {
      const digest = await fetcher.download({ url, sha256: hash, size, label: `${name} ${version}` });
      return { filename, bytes: store.readBlob(digest) ?? new Uint8Array() };
    }),
  );
}

function otherPlatform({ name, version, filename }: Distribution, platform: string): SheafError {
  return new SheafError(
    "SHEAF_BUILD_PLATFORM",
    `${name} ${version} has no wheel for ${platform}, and this machine can't build for it`,
    {
      details: [["source", filename]],
      hint: [`pin a version of ${name} that has a wheel`, "or build the image on a machine of that platform"],
    },
  );
}
