import type { DebianArchive } from "../debian/archive.ts";
import { basePackages } from "../debian/base.ts";
import type { DebOptions } from "../ingest/ingest.ts";
import { composeGroup } from "../layers/compose-group.ts";
import { systemSegment } from "../layers/system.ts";
import type { Platform } from "../platform.ts";
import { debianFiles } from "./debian-files.ts";
import { type Environment, missingNotes, plannedPackage } from "./environment.ts";
import { closeNative } from "./native.ts";
import type { PlanServices } from "./services.ts";

/** Raised when the same request gives another environment. */
const debianEnvironmentVersion = 1;

export interface DebianEnvironmentRequest {
  platform: Platform;
  archive: DebianArchive;
  /** Names the archive's state: what its answers depend on. */
  archiveState: string;
  /** Debian packages asked for by name, with who asks. */
  packages: ReadonlyMap<string, string>;
  /** Dependencies that are not taken. */
  without: string[];
  shell: boolean;
  ignoreScripts: string[];
  mtime: number;
  user: { name: string; uid: number; gid: number };
}

/**
 * The environment of an image of Debian packages alone, or what the store has of it: the base, the packages with all that
 * they depend on, users and indexes.
 */
export async function prepareDebianEnvironment(
  request: DebianEnvironmentRequest,
  services: PlanServices,
): Promise<Environment> {
  const { archive, packages, ...rest } = request;
  const key = JSON.stringify(["debian", debianEnvironmentVersion, rest, archive.codename, [...packages]]);
  const known = services.store.readRecord<Environment>("environment", key);
  if (known?.layers.every(({ record }) => record.parts.every((part) => services.store.hasBlob(part)))) {
    return { ...known, layers: known.layers.map((layer) => ({ ...layer, reused: true })) };
  }
  const { platform, shell, mtime } = request;
  const options: DebOptions = { ignoreScripts: request.ignoreScripts, mtime };
  const parts = { archive, platform, objects: [], links: [], without: new Set(request.without) };
  const base = await closeNative(
    { ...parts, wanted: new Map(basePackages({ shell }).map((name) => [name, "base"])), present: [] },
    options,
    services,
  );
  const own = await closeNative({ ...parts, wanted: packages, present: base.debs }, options, services);
  const compose = (group: Omit<Parameters<typeof composeGroup>[0], "mtime">) =>
    composeGroup({ ...group, mtime }, { store: services.store, compose: services.tasks.layer });
  const system = systemSegment(
    {
      debs: [...base.debs, ...own.debs].map(({ facts }) => facts),
      elf: [],
      user: request.user,
      platform,
      shell,
      mtime,
    },
    services.store,
  );
  const environment: Environment = {
    packages: [...base.debs, ...own.debs].map(plannedPackage),
    distributions: [],
    layers: await Promise.all([
      compose({ kind: "base", name: "Debian base", ...debianFiles(base.debs) }),
      ...(own.debs.length > 0 ? [compose({ kind: "native", name: "Debian packages", ...debianFiles(own.debs) })] : []),
      compose({ kind: "system", name: "users and indexes", ...system, contents: [] }),
    ]),
    bytecode: { compiled: false, reason: "there is no Python in it" },
    stripped: { bytes: 0, files: 0 },
    notes: missingNotes(own.missing),
  };
  services.store.writeRecord("environment", key, environment);
  return environment;
}
