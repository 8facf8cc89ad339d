import type { ImportPlaces } from "../ingest/imports.ts";
import { composeGroup } from "../layers/compose-group.ts";
import { type PackagePart, partitionPackages } from "../layers/partition.ts";
import { replacedSegment } from "../layers/replaced.ts";
import { systemSegment } from "../layers/system.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import type { OwnerBytecode } from "../ingest/bytecode.ts";
import { interpreterEntries } from "../ingest/interpreter.ts";
import { wheelEntries } from "../ingest/wheel.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { LayerRecord } from "../oci/compose-layer.ts";
import type { Bytecode, PlannedDistribution, PlannedPackage, PlanNote } from "./image-plan.ts";
import { debianFiles } from "./debian-files.ts";
import type { DeviceRequest } from "./gpu/device-options.ts";
import type { DistributionCalls } from "./gpu/distribution-calls.ts";
import type { DeviceOutcome } from "./gpu/outcome.ts";
import { gather, type Gathered } from "./gather.ts";
import type { GatherRequest, ReasonedDeb } from "./gather-request.ts";
import { shortPath } from "./native.ts";
import { compileReached } from "./reach.ts";
import type { PlanServices } from "./services.ts";
import { suggestions } from "./suggestions.ts";

/** Raised when the same request gives another environment. */
const environmentVersion = 6;

export interface EnvironmentRequest extends GatherRequest {
  user: { name: string; uid: number; gid: number };
  /**
   * What counts as reached for bytecode. An API loads nearly everything as it starts; a worker loads much of Celery from
   * within functions.
   */
  places: ImportPlaces;
  /** Modules outside the project that its code and its start command name; sorted. */
  imports: string[];
  /** Interpreter of this machine that compiles for the image's minor. */
  compiler?: string;
  layerBudget: number;
  /** Names the interpreter's present state on this machine. */
  identity: string;
  /** Names the archive's state: what its answers depend on. */
  archiveState: string;
}

/** Everything of an image that is there before the project's own files. Plain JSON, kept in the store by its inputs. */
export interface Environment {
  /** Absent where there is no Python. */
  layout?: PythonLayout;
  packages: PlannedPackage[];
  distributions: EnvironmentDistribution[];
  layers: EnvironmentLayer[];
  bytecode: Bytecode & { modules?: number };
  stripped: { bytes: number; files: number };
  /** What became of CUDA libraries; absent where nothing was done to them. */
  device?: DeviceOutcome;
  /** Compiled modules of the image beyond the project's. */
  notes: PlanNote[];
}

export interface EnvironmentDistribution {
  name: string;
  version: string;
  filename: string;
  sha256: string;
  source: string;
  /** Made from an sdist on this machine. */
  built: boolean;
  /** Top-level importable names. */
  modules: string[];
  consoleScripts: Record<string, string>;
  compressed: number;
  unpacked: number;
}

export interface EnvironmentLayer {
  name: string;
  record: LayerRecord;
  /** Whether the store had it before this run. */
  reused: boolean;
  /** Distributions or Debian packages in it, with what each brings. */
  contents: { name: string; version: string; compressed: number; unpacked: number }[];
}

/** Prepares the environment, or reads it from the store when nothing that decides it has changed. */
export async function prepareEnvironment(request: EnvironmentRequest, services: PlanServices): Promise<Environment> {
  const key = environmentKey(request);
  const known = services.store.readRecord<Environment>("environment", key);
  if (known?.layers.every(({ record }) => record.parts.every((part) => services.store.hasBlob(part)))) {
    return { ...known, layers: known.layers.map((layer) => ({ ...layer, reused: true })) };
  }
  const calls = await watchCalls(request.device);
  const gathered = await gather(request, services, async (installed) => {
    if (request.compiler === undefined) return new Map();
    calls?.install(installed.wheels);
    return compileReached(
      {
        installed,
        choice: request.choice,
        platform: request.platform,
        start: request.imports,
        places: request.places,
        python: request.compiler,
        mtime: request.mtime,
        ...(calls ? { onReached: (found, imports) => calls.see(found, imports) } : {}),
        ...(request.over && request.choice.kind === "base" ? { base: request.over.image } : {}),
      },
      services,
    );
  });
  const [layers, suggested] = await Promise.all([
    composeLayers({ request, gathered }, services),
    suggestions({ installed: gathered, start: request.imports, target: request.resolution.target }, services.store),
  ]);
  const sources = new Set(
    request.resolution.distributions.filter((each) => each.kind === "sdist").map((each) => each.name),
  );
  const environment: Environment = {
    layout: gathered.layout,
    packages: [...gathered.baseDebs, ...gathered.nativeDebs].map(plannedPackage),
    distributions: gathered.wheels.map(({ distribution, facts }) => ({
      name: distribution.name,
      version: distribution.version,
      filename: distribution.filename,
      sha256: distribution.sha256,
      source: distribution.source,
      built: sources.has(distribution.name),
      modules: facts.modules,
      consoleScripts: facts.consoleScripts,
      compressed: facts.segment.compressed,
      unpacked: facts.segment.unpacked,
    })),
    layers,
    bytecode: describeBytecode(request, gathered.bytecode),
    stripped: {
      bytes: gathered.wheels.reduce(
        (sum, { facts }) => sum + facts.strippedBytes,
        gathered.interpreter?.strippedBytes ?? 0,
      ),
      files: gathered.wheels.reduce((sum, { facts }) => sum + facts.strippedFiles, 0),
    },
    ...(gathered.device ? { device: { ...gathered.device, ...(calls ? { calls: calls.all() } : {}) } } : {}),
    notes: [
      ...missingNotes(gathered.missing),
      ...gathered.collisionNotes.map((message): PlanNote => ({ level: "note", message })),
      ...suggested,
    ],
  };
  services.store.writeRecord("environment", key, environment);
  return environment;
}

/** Looks on at what distributions call of the parts of CUDA that are left out. */
async function watchCalls(device: DeviceRequest | undefined): Promise<DistributionCalls | undefined> {
  if (!device || device.leaveOut.length === 0) return undefined;
  const { DistributionCalls } = await import("./gpu/distribution-calls.ts");
  return new DistributionCalls(device.leaveOut);
}

interface ComposeInput {
  request: EnvironmentRequest;
  gathered: Gathered;
}

/** Base first, what changes most often last. */
async function composeLayers({ request, gathered }: ComposeInput, services: PlanServices): Promise<EnvironmentLayer[]> {
  const { mtime, over } = request;
  const compose = (group: Omit<Parameters<typeof composeGroup>[0], "mtime">) =>
    composeGroup(
      { ...group, mtime },
      {
        store: services.store,
        compose: services.tasks.layer,
        ...(over ? { over: over.image } : {}),
      },
    );
  const layers: (EnvironmentLayer | Promise<EnvironmentLayer>)[] = over ? baseLayers(over.image) : [];
  const replaced =
    over &&
    replacedSegment(over.image, { names: [...gathered.wheels.map(({ facts }) => facts.name)], mtime }, services.store);
  if (replaced) layers.push(compose({ kind: "system", name: "packages of the base that others replace", ...replaced }));
  if (!over) layers.push(compose({ kind: "base", name: "Debian base", ...debianFiles(gathered.baseDebs) }));
  else if (gathered.baseDebs.length > 0)
    layers.push(compose({ kind: "native", name: "Debian packages for the base", ...debianFiles(gathered.baseDebs) }));
  const { interpreter, bytecode } = gathered;
  const standard = bytecode.get("standard library");
  if (!interpreter && standard && standard.paths.length > 0) {
    layers.push(
      compose({
        kind: "python",
        name: `Python ${request.choice.version} bytecode`,
        segments: [standard.segment],
        directories: [],
        paths: () => standard.paths,
        contents: [],
      }),
    );
  }
  if (interpreter) {
    layers.push(
      compose({
        kind: "python",
        name: `Python ${request.choice.version}`,
        segments: [interpreter.segment, ...(standard ? [standard.segment] : [])],
        directories: [],
        paths: () => [
          ...interpreterEntries(services.store, interpreter).map((entry) => entry.path),
          ...(standard?.paths ?? []),
        ],
        contents: [],
      }),
    );
  }
  if (gathered.nativeDebs.length > 0) {
    layers.push(compose({ kind: "native", name: `Debian libraries`, ...debianFiles(gathered.nativeDebs) }));
  }
  const byName = new Map(gathered.wheels.map((wheel) => [wheel.distribution.name, wheel]));
  const parts = gathered.wheels.map(({ distribution, facts }): PackagePart => {
    const compiled = bytecode.get(distribution.name);
    return {
      name: distribution.name,
      version: distribution.version,
      segments: [facts.segment, ...(compiled && compiled.paths.length > 0 ? [compiled.segment] : [])],
    };
  });
  // Beside the packages: base, Python, libraries, system, app.
  for (const group of partitionPackages(parts, { budget: packageBudget(request) })) {
    layers.push(
      compose({
        kind: group.kind,
        name: group.name,
        segments: group.parts.flatMap((part) => part.segments),
        directories: [],
        paths: () =>
          group.parts.flatMap((part) => {
            const wheel = byName.get(part.name);
            const entries = wheel ? wheelEntries(services.store, wheel.facts) : [];
            return [...entries.map((entry) => entry.path), ...(bytecode.get(part.name)?.paths ?? [])];
          }),
        contents: group.parts.map(sizeOfPart),
      }),
    );
  }
  const system = systemSegment(
    {
      debs: [...gathered.baseDebs, ...gathered.nativeDebs].map(({ facts }) => facts),
      elf: interpreter?.elf ?? [],
      user: request.user,
      platform: request.platform,
      shell: request.shell,
      mtime,
      ...(over ? { base: over.image } : {}),
    },
    services.store,
  );
  // A base may have the image's user, and all else that it needs.
  if (system.paths().length + system.directories.length > 0)
    layers.push(compose({ kind: "system", name: "users and indexes", ...system, contents: [] }));
  return Promise.all(layers);
}

/** Layers that packages may have beside those of the base, Python, libraries, system and app. */
function packageBudget({ layerBudget, over }: EnvironmentRequest): number {
  return over
    ? Math.max(12, Math.min(layerBudget - 6, mostLayers - 6 - over.image.facts.layers.length))
    : layerBudget - 5;
}

/** Docker 20.10 takes 125 with the storage driver's own. */
const mostLayers = 120;

function baseLayers({ facts, reference, reused }: BaseImage): EnvironmentLayer[] {
  const { layers } = facts;
  return layers.map((record, index) => ({
    name: layers.length === 1 ? reference : `${reference} ${index + 1} of ${layers.length}`,
    record,
    reused,
    contents: [],
  }));
}

function sizeOfPart(part: PackagePart): EnvironmentLayer["contents"][number] {
  return {
    name: part.name,
    version: part.version,
    compressed: part.segments.reduce((sum, segment) => sum + segment.compressed, 0),
    unpacked: part.segments.reduce((sum, segment) => sum + segment.unpacked, 0),
  };
}

export function plannedPackage({ package: pkg, reason }: ReasonedDeb): PlannedPackage {
  const { name, version, architecture, sha256, size, installedSize } = pkg;
  return { name, version, architecture, sha256, size, installedSize, reason };
}

export function plannedDistribution(distribution: EnvironmentDistribution): PlannedDistribution {
  const { name, version, filename, sha256, source, built } = distribution;
  return { name, version, filename, sha256, source, ...(built ? { built } : {}) };
}

function describeBytecode(request: EnvironmentRequest, bytecode: Map<string, OwnerBytecode>): Environment["bytecode"] {
  if (!request.compiler)
    return { compiled: false, reason: `no Python ${request.choice.minor} on this machine to compile with` };
  return {
    compiled: true,
    by: `Python ${request.choice.minor} of this machine`,
    modules: [...bytecode.values()].reduce((sum, each) => sum + each.paths.length, 0),
  };
}

export function missingNotes(missing: Gathered["missing"]): PlanNote[] {
  return missing.map(({ soname, neededBy }) => ({
    level: "warning",
    message: `${soname} is in no package of the archive, needed by ${shortPath(neededBy[0] ?? "")}`,
    hint: "what needs it fails when it is loaded; if it is in another package, name that in [tool.sheaf] packages",
  }));
}

function environmentKey(request: EnvironmentRequest): string {
  const { archive, resolution, packages, choice, over, ...rest } = request;
  return JSON.stringify([
    environmentVersion,
    rest,
    archive.codename,
    [choice.kind, choice.version],
    resolution.distributions.map(({ name, sha256 }) => [name, sha256]),
    [...packages],
    ...(over ? [over.image.key, over.packages] : []),
  ]);
}
