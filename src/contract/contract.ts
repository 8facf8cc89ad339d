import { parseGpuTargets } from "../cuda/gpus.ts";
import { cudaLabels, targetsOfLabel } from "../cuda/labels.ts";
import { SheafError } from "../errors.ts";
import type { RuntimeConfig } from "../oci/types.ts";
import { parseSize } from "../project/config/parse-size.ts";
import type { ContractSettings, ImageSettings, SheafConfig } from "../project/config/schema.ts";
import { type Role, roleOfImage } from "./role.ts";

export interface HealthPromise {
  /** Seconds. Undefined figures are free, within reason. */
  interval?: number;
  timeout?: number;
  startPeriod?: number;
  retries?: number;
}

export type CustomCheckSettings = NonNullable<ContractSettings["checks"]>[string];

/** What an image is held to: the settings with a value for everything. Sizes in bytes, times in seconds. */
export interface Contract {
  /** Where it comes from, for people: `pyproject.toml, image api`, `defaults for an API`. */
  source: string;
  role: Role;
  /** By id or as `group.*`, with the reason. */
  skip: Record<string, string>;
  /** Name that the image's user has in its passwd, and its number; undefined where any will do. */
  user?: string;
  uid?: number;
  /** False when the image promises no health check. */
  health: HealthPromise | false;
  /** Undefined where the image's own EXPOSE is the promise. */
  ports?: number[];
  stopSignal?: string;
  env: Record<string, string>;
  labels: string[];
  size?: number;
  compressedSize?: number;
  layerSize?: number;
  layers: number;
  waste: number;
  duplicates: number;
  setuid: "none" | "packaged";
  /** `none`, `any`, or a release such as `12.1`. */
  cuda: string;
  driverLabel: string;
  /** Compute capabilities, as 86, that there must be device code for; undefined where nobody promises any. */
  gpuTargets?: number[];
  allowFiles: string[];
  allowLibraries: string[];
  buildArgs: string[];
  healthUrl?: string;
  healthBody?: Record<string, unknown>;
  /** Answers slowly. */
  slowUrl?: string;
  start: number;
  starts: number;
  answer: number;
  concurrency: number;
  stop: number;
  exitCodes: number[];
  memory?: number;
  runEnv: Record<string, string>;
  /** Undefined where Celery's own variable and those that the code reads are taken. */
  brokerEnv?: string[];
  workerTask?: { name: string; args: unknown[] };
  build: { clean: number; cached: number; code: number; dependency: number };
  checks: Record<string, CustomCheckSettings>;
}

export interface ContractInput {
  /** The project's configuration, or the file of `--contract`. */
  config?: SheafConfig;
  /** File that it came from. */
  configFile?: string;
  /** Image of the configuration that is meant; found by `name` unless given. */
  image?: string;
  /** As the person named the image: `demeterai-api:latest`, `dist/api`. */
  name: string;
  /** What the plan of an image that Sheaf built says of it. */
  planned?: { name: string; role: Role; size?: number };
  /** The image's own, which tells the role that nothing else tells. */
  runtime: RuntimeConfig;
}

/**
 * The contract as it applies: defaults for the role, the configuration's, and in it the image's own, each over the one before.
 * @throws SheafError SHEAF_CONTRACT when the configuration has no such image; SHEAF_GPU for a GPU that is not known
 */
export function resolveContract(input: ContractInput): Contract {
  const { config = {}, planned } = input;
  const image = chooseImage(input);
  const own: Partial<ImageSettings> = (image === undefined ? undefined : config.images?.[image]) ?? {};
  const merged = mergeSettings(config.contract ?? {}, own.contract ?? {});
  const role = merged.role ?? own.role ?? planned?.role ?? roleOfImage(input.runtime);
  // What a project says of itself is a promise; of anybody else's image only what holds for all is asked.
  const promised = image !== undefined || config.contract !== undefined || planned !== undefined;
  const health = healthOf(merged, { promised, own, role });
  return {
    source: sourceOf(input, { image, role }),
    role,
    skip: merged.skip ?? {},
    ...defined({ user: merged.user ?? (image === undefined ? undefined : config.user), uid: merged.uid }),
    health,
    ...defined({ ports: merged.ports ?? (own.port === undefined ? undefined : [own.port]) }),
    ...defined({ stopSignal: merged["stop-signal"] ?? own["stop-signal"] }),
    env: merged.env ?? {},
    labels: merged.labels ?? [],
    ...defined({
      size: bytes(merged.size ?? own.budget) ?? planned?.size,
      compressedSize: bytes(merged["compressed-size"]),
      layerSize: bytes(merged["layer-size"]),
    }),
    layers: merged.layers ?? 100,
    waste: bytes(merged.waste) ?? 1_000_000,
    duplicates: bytes(merged.duplicates) ?? 20_000_000,
    setuid: merged.setuid ?? (promised ? "none" : "packaged"),
    cuda: merged.cuda ?? own.gpu?.cuda ?? (role === "worker" || role === "other" || role === "base" ? "any" : "none"),
    driverLabel: merged["driver-label"] ?? cudaLabels.minDriver,
    ...defined({ gpuTargets: gpuTargetsOf(merged["gpu-targets"] ?? own.gpu?.targets, input.runtime) }),
    allowFiles: merged["allow-files"] ?? [],
    allowLibraries: merged["allow-libraries"] ?? [],
    buildArgs: merged["build-args"] ?? [],
    ...defined({
      healthUrl: merged["health-url"] ?? (typeof own.health === "string" ? own.health : undefined),
      healthBody: merged["health-body"],
      slowUrl: merged["slow-url"],
    }),
    start: merged.start ?? 10,
    starts: merged.starts ?? 5,
    answer: merged.answer ?? 3,
    concurrency: merged.concurrency ?? 20,
    stop: merged.stop ?? 10,
    exitCodes: merged["exit-codes"] ?? [0, 143],
    ...defined({ memory: bytes(merged.memory) }),
    runEnv: merged["run-env"] ?? {},
    ...defined({
      brokerEnv: merged["broker-env"],
      workerTask: merged["worker-task"] && { args: [], ...merged["worker-task"] },
    }),
    build: {
      clean: merged.build?.clean ?? 300,
      cached: merged.build?.cached ?? 30,
      code: merged.build?.code ?? 30,
      dependency: merged.build?.dependency ?? 300,
    },
    checks: merged.checks ?? {},
  };
}

/** @throws SheafError SHEAF_GPU for a GPU that is not known */
function gpuTargetsOf(told: readonly string[] | undefined, { Labels }: RuntimeConfig): number[] | undefined {
  const targets = told ? parseGpuTargets(told).map(({ sm }) => sm) : targetsOfLabel(Labels);
  return targets.length > 0 ? targets : undefined;
}

/** The later outranks the earlier; tables are joined, lists are replaced. */
function mergeSettings(under: ContractSettings, over: ContractSettings): ContractSettings {
  return {
    ...under,
    ...over,
    ...defined({
      skip: join(under.skip, over.skip),
      env: join(under.env, over.env),
      "run-env": join(under["run-env"], over["run-env"]),
      build: join(under.build, over.build),
      checks: join(under.checks, over.checks),
    }),
  };
}

/** The image of the configuration that is meant: told, the end of the image's name, or the only one of its role. */
function chooseImage({ config, configFile, image, name, planned, runtime }: ContractInput): string | undefined {
  const names = Object.keys(config?.images ?? {});
  if (image !== undefined) {
    if (names.includes(image)) return image;
    throw new SheafError(
      "SHEAF_CONTRACT",
      `${configFile ?? "the configuration"} has no image ${JSON.stringify(image)}`,
      {
        details: names.length > 0 ? [["it has", names.join(", ")]] : [],
        hint: "name one of them with --image, or leave it out",
      },
    );
  }
  if (planned && names.includes(planned.name)) return planned.name;
  const base = (name.split("/").at(-1) ?? "").replace(/[:@].*$/, "");
  const title = String(runtime.Labels?.["org.opencontainers.image.title"] ?? "");
  const byName = names
    .filter((each) => [base, title].some((whole) => whole === each || whole.endsWith(`-${each}`)))
    .toSorted((a, b) => b.length - a.length)[0];
  if (byName !== undefined) return byName;
  const role = roleOfImage(runtime);
  const ofRole = names.filter((each) => (config?.images?.[each]?.role ?? each) === role);
  return ofRole.length === 1 ? ofRole[0] : undefined;
}

interface HealthQuestion {
  promised: boolean;
  own: Partial<ImageSettings>;
  role: Role;
}

/** The figures are Docker's usual ones where a project promises something, and free elsewhere. */
function healthOf({ health }: ContractSettings, { promised, own, role }: HealthQuestion): Contract["health"] {
  if (health === false || (health === undefined && own.health === false)) return false;
  // Nobody asks a base image how it is; of a project's own programs, only those that it gave a check.
  if (health === undefined && (role === "base" || (role === "other" && promised && !own.health))) return false;
  const figures = promised ? usual : {};
  return {
    ...figures,
    ...defined({
      interval: health?.interval,
      timeout: health?.timeout,
      startPeriod: health?.["start-period"],
      retries: health?.retries,
    }),
  };
}

const usual: HealthPromise = { interval: 30, timeout: 3, startPeriod: 40, retries: 3 };

function sourceOf({ configFile, planned }: ContractInput, { image, role }: { image?: string; role: Role }): string {
  const parts = [
    `defaults for ${roleNames[role]}`,
    ...(configFile === undefined ? [] : [image === undefined ? configFile : `${configFile}, image ${image}`]),
    ...(planned === undefined ? [] : ["the plan that it was built from"]),
  ];
  return parts.join("; ");
}

const roleNames: Record<Role, string> = {
  api: "an API",
  worker: "a worker",
  beat: "a scheduler",
  flower: "a dashboard",
  other: "a service",
  base: "a base image",
};

/** @throws never: the schema's value check has refused what is no size */
function bytes(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseSize(text);
}

function join<Value>(
  under: Record<string, Value> | undefined,
  over: Record<string, Value> | undefined,
): Record<string, Value> | undefined;
function join<Table extends object>(under: Table | undefined, over: Table | undefined): Table | undefined;
function join(under: object | undefined, over: object | undefined): object | undefined {
  return under || over ? { ...under, ...over } : undefined;
}

/** Without the keys that have no value: optional properties are absent, not undefined. */
function defined<Values extends object>(values: Values): { [Key in keyof Values]?: NonNullable<Values[Key]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
