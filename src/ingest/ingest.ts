import type { DebPackage } from "../debian/package.ts";
import type { Emit } from "../events.ts";
import type { Fetcher } from "../fetch/fetcher.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import type { Distribution } from "../resolve/resolution.ts";
import type { Digest, Store } from "../store/store.ts";
import { withFreshInput } from "./damaged-input.ts";
import { type DebFacts, knownDeb } from "./deb.ts";
import { type InterpreterFacts, knownInterpreter } from "./interpreter.ts";
import type { IngestTasks } from "./tasks.ts";
import type { DeviceOptions } from "./device.ts";
import { type IngestedWheel, knownWheel, wheelEntries, type WheelFacts, type WheelTask } from "./wheel.ts";
import { findCollisions } from "./collisions.ts";

export interface IngestServices {
  store: Store;
  fetcher: Fetcher;
  tasks: IngestTasks;
  emit: Emit;
}

export interface InstallOptions {
  layout: PythonLayout;
  strip: boolean;
  mtime: number;
  /** What is done to the CUDA libraries of a distribution; undefined: nothing. */
  deviceOf?: (distribution: Distribution) => DeviceOptions | undefined;
}

export interface WheelOptions extends InstallOptions {
  /** Distributions whose files win over others'. */
  keepFilesOf: readonly string[];
}

export interface IngestedWheels {
  wheels: IngestedWheel[];
  /** What was decided about files that several distributions write. */
  notes: string[];
}

/**
 * Fetches the wheels that the store lacks and installs each into a segment of its own, as they arrive. A path that two
 * distributions write with the same bytes stays with the first by name.
 *
 * @throws SheafError SHEAF_COLLISION when the bytes differ, and what fetching and installing throw
 */
export async function ingestWheels(
  distributions: readonly Distribution[],
  options: WheelOptions,
  services: IngestServices,
): Promise<IngestedWheels> {
  const { keepFilesOf, ...install } = options;
  const wheels = await Promise.all(
    distributions.map(async (distribution) => ({
      distribution,
      facts: await one(distribution, { ...install, exclude: [] }, services),
    })),
  );
  const { excluded, notes } = findCollisions(wheels, (facts) => wheelEntries(services.store, facts), {
    layout: options.layout,
    keepFilesOf,
  });
  const settled = wheels.map(async (wheel) => {
    const exclude = excluded.get(wheel.distribution.name);
    return exclude ? { ...wheel, facts: await one(wheel.distribution, { ...install, exclude }, services) } : wheel;
  });
  return { wheels: await Promise.all(settled), notes };
}

/**
 * Begins with a wheel that will be wanted. Whoever wants it waits for this same work, and hears of its failure.
 * @param options as `ingestWheels` will have them
 */
export function startWheel(distribution: Distribution, options: InstallOptions, services: IngestServices): void {
  one(distribution, { ...options, exclude: [] }, services).catch(() => {});
}

async function one(
  distribution: Distribution,
  { deviceOf, ...options }: InstallOptions & { exclude: string[] },
  { store, fetcher, tasks, emit }: IngestServices,
): Promise<WheelFacts> {
  const digest: Digest = `sha256:${distribution.sha256}`;
  // NVIDIA's licence allows its libraries to be passed on as they are.
  const strip = options.strip && !distribution.name.startsWith("nvidia-");
  const device = deviceOf?.(distribution);
  const task: WheelTask = { storeRoot: store.root, digest, filename: distribution.filename, ...options, strip };
  if (device) task.device = device;
  const known = knownWheel(store, task);
  if (known) return known;
  const label = `${distribution.name} ${distribution.version}`;
  const { url, sha256, size } = distribution;
  // Whether a wheel has device code is known when it has been installed once: with the same options but for that, it is
  // often the same. One after the other, too, large wheels take half the room.
  const { device: _, ...rest } = task;
  const place = JSON.stringify(rest);
  const install = (): Promise<WheelFacts> =>
    withFreshInput(
      () => fetcher.download({ url, sha256, size, label }),
      async () => {
        emit({ type: "work-start", id: digest, group: "install", label });
        const facts = await tasks.wheel(task, emit);
        emit({ type: "work-end", id: digest, group: "install", reused: false });
        return facts;
      },
    );
  return once(wheelsAtWork, JSON.stringify(task), () =>
    inTurn(place, async () => knownWheel(store, task) ?? install()),
  );
}

const turns = new Map<string, Promise<unknown>>();

/** Begins when what was begun before at the same place has ended, well or not. */
function inTurn<T>(place: string, action: () => Promise<T>): Promise<T> {
  const before = turns.get(place) ?? Promise.resolve();
  const work = before.then(action, action);
  const turn = work.catch(() => {});
  turns.set(place, turn);
  void turn.then(() => turns.get(place) === turn && turns.delete(place));
  return work;
}

export interface DebOptions {
  ignoreScripts: string[];
  mtime: number;
}

/** A Debian package with what it comes to. */
export interface IngestedDeb {
  package: DebPackage;
  facts: DebFacts;
}

/** Fetches the Debian packages that the store lacks and unpacks each into a segment of its own. */
export function ingestDebs(
  packages: readonly DebPackage[],
  options: DebOptions,
  services: IngestServices,
): Promise<IngestedDeb[]> {
  const { store, fetcher, tasks, emit } = services;
  return Promise.all(
    packages.map(async (each) => {
      const digest: Digest = `sha256:${each.sha256}`;
      const task = { storeRoot: store.root, digest, ...options };
      const known = knownDeb(store, task);
      if (known) return { package: each, facts: known };
      const label = `${each.name} ${each.version}`;
      const facts = await once(debsAtWork, JSON.stringify(task), () =>
        withFreshInput(
          () => fetcher.download({ url: each.url, sha256: each.sha256, size: each.size, label }),
          async () => {
            emit({ type: "work-start", id: digest, group: "unpack", label });
            const unpacked = await tasks.deb(task);
            emit({ type: "work-end", id: digest, group: "unpack", reused: false });
            return unpacked;
          },
        ),
      );
      return { package: each, facts };
    }),
  );
}

const wheelsAtWork = new Map<string, Promise<WheelFacts>>();
const debsAtWork = new Map<string, Promise<DebFacts>>();
const interpretersAtWork = new Map<string, Promise<InterpreterFacts>>();

/** Work that is going on already is waited for. */
function once<T>(atWork: Map<string, Promise<T>>, key: string, action: () => Promise<T>): Promise<T> {
  const standing = atWork.get(key);
  if (standing) return standing;
  const work = action().finally(() => atWork.delete(key));
  atWork.set(key, work);
  return work;
}

export interface HostInterpreterOptions {
  key: string;
  strip: boolean;
  mtime: number;
}

/** Copies an interpreter of this machine into a segment, unless the store has it in the same state. */
export async function ingestHostInterpreter(
  choice: InterpreterChoice,
  options: HostInterpreterOptions,
  { store, tasks, emit }: IngestServices,
): Promise<InterpreterFacts> {
  const task = { storeRoot: store.root, choice, ...options };
  const known = knownInterpreter(store, task);
  if (known) return known;
  return once(interpretersAtWork, JSON.stringify(task), async () => {
    emit({ type: "work-start", id: options.key, group: "python", label: `Python ${choice.version}` });
    const facts = await tasks.interpreter(task);
    emit({ type: "work-end", id: options.key, group: "python", reused: false });
    return facts;
  });
}
