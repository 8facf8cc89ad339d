import { idsByName } from "../layers/entries-over.ts";
import type { ImageUser } from "../debian/accounts.ts";
import type { DebianArchive } from "../debian/archive.ts";
import { debianPythonVersion } from "../debian/python.ts";
import { readOsRelease } from "../debian/sources.ts";
import { SheafError } from "../errors.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import { minorOf } from "../interpreter/version.ts";
import type { Project, Sourced } from "../project/project.ts";
import { satisfies } from "../resolve/specifiers.ts";
import type { ChosenBase } from "./base-image.ts";
import { choosePython, type ChosenPython, type PythonRequest } from "./choose-python.ts";
import type { HealthPlan, ImagePlan, PlanNote, PlannedFile } from "./image-plan.ts";
import type { PlanServices } from "./services.ts";
import { byCodeUnit, byPath } from "../order.ts";

/** Everything in which the plan of an image over a base differs from one whose base is composed. */
export interface OverBase {
  /** For the environment: the base, and packages that it needs. */
  request: { image: BaseImage; packages: string[] };
  base: ImagePlan["base"];
  /** What a health probe can use. */
  tools: { shell: boolean; client: "wget" | "curl" | "python" };
  /** Top-level importable names that the base's own site-packages have. */
  modules: string[];
  notes: PlanNote[];
  place: (files: PlannedFile[]) => PlannedFile[];
  user: (wanted: ImageUser, isConfigured: boolean) => ImageUser;
  probe: (health: Sourced<HealthPlan> | undefined) => Sourced<HealthPlan> | undefined;
  config: (settings: ImagePlan["config"]) => ImagePlan["config"];
}

/** What Python needs of a distribution that it is laid over: certificates, time zones, names of ports and media types. */
const besidePython = ["ca-certificates", "media-types", "netbase", "tzdata"];

export function overBase(
  { image, source }: ChosenBase,
  { archive, choice }: { archive: DebianArchive; choice: InterpreterChoice },
): OverBase {
  const { facts, reference } = image;
  const { sh, grep } = facts.programs;
  const first = processOne(image, archive);
  const needed = choice.kind === "base" ? [] : besidePython.filter((name) => archive.find(name));
  return {
    request: { image, packages: [...needed, ...(first.isAdded ? ["tini"] : [])] },
    base: { kind: "image", reference, digest: facts.digest, source },
    tools: { shell: sh !== undefined && grep !== undefined, client: probeClient(image) },
    modules: facts.python?.modules ?? [],
    notes: [
      ...(archive.codename === "" ? [foreignNote(image)] : []),
      ...(first.entrypoint.length === 0 ? [reaperNote] : []),
    ],
    place: (files) => filesOver(image, files),
    user: (wanted, isConfigured) => userOver(image, wanted, isConfigured),
    probe: (health) => probeOver(image, health),
    config: (settings) => configOver(image, settings, first.entrypoint),
  };
}

/** Packages for the base: of its suite, when it is this machine's distribution and apt knows the suite. */
export async function archiveOver(
  { image }: ChosenBase,
  open: (suite: string) => Promise<DebianArchive>,
): Promise<DebianArchive> {
  const { id, codename } = image.facts.os;
  if (codename === undefined || image.files.packages.length === 0 || readOsRelease()["ID"] !== id)
    return noArchive(image);
  try {
    return await open(codename);
  } catch (error) {
    if (error instanceof SheafError && error.code === "SHEAF_APT_SOURCES") return noArchive(image);
    throw error;
  }
}

/** The base's own interpreter, or else one that is laid over it. */
export async function pythonOver(
  base: ChosenBase,
  request: Omit<PythonRequest, "debian"> & { archive: DebianArchive },
  services: PlanServices,
): Promise<ChosenPython> {
  const own = pythonOfBase(base.image, request);
  if (own) return own;
  const { archive, ...rest } = request;
  const version = debianPythonVersion(archive);
  const debian = async () => (version === undefined ? [] : [{ version, suite: archive.codename }]);
  return choosePython({ ...rest, debian }, services);
}

/**
 * The base's own interpreter when it fits; undefined when another one has to be laid over it.
 * @throws SheafError SHEAF_BASE_PYTHON when its Python stands where another one would go, and is not the one asked for
 */
function pythonOfBase(
  image: BaseImage,
  { project, flag }: { project: Project; flag?: string },
): ChosenPython | undefined {
  const { python } = image.facts;
  if (!python) return undefined;
  const { version, minor, layout } = python;
  const told = flag ?? project.config.python;
  const requires = project.requiresPython;
  const against =
    told !== undefined && minorOf(told) !== minor
      ? `${flag ? "--python" : "the configuration"} asks for ${told}`
      : requires && !satisfies(version, requires.value)
        ? `${requires.source} asks for ${requires.value}`
        : undefined;
  if (against !== undefined) {
    if (!layout.stdlib.startsWith("usr/local/")) return undefined;
    throw new SheafError("SHEAF_BASE_PYTHON", `the base ${image.reference} has Python ${version}, and ${against}`, {
      hint: [
        "take a base with a Python that fits",
        "or one without Python, or --base debian: the interpreter is added",
      ],
    });
  }
  const wish = told === undefined ? project.pythonVersion : undefined;
  const isOther = wish !== undefined && minorOf(wish.value) !== minor;
  const message = `${wish?.source} asks for Python ${wish?.value}; the base image has ${version}`;
  return {
    choice: { kind: "base", version, minor, reason: `in the base image ${image.reference}`, tried: [] },
    notes: isOther ? [{ level: "note", message }] : [],
  };
}

/** The image's user, as the base knows it when it has an account of that name or number. */
function userOver(image: BaseImage, user: ImageUser, isConfigured: boolean): ImageUser {
  const { passwd } = image.files;
  const row = passwd
    .split("\n")
    .map((line) => line.split(":"))
    .find(([name]) => name === user.name);
  const [, , uid, gid] = row ?? [];
  if (uid !== undefined && Number(uid) !== user.uid) {
    if (!isConfigured && Number(uid) !== 0) return { ...user, uid: Number(uid), gid: Number(gid) };
    throw new SheafError(
      "SHEAF_BASE_USER",
      `the base ${image.reference} has a user ${user.name} with the number ${uid}, not ${user.uid}`,
      {
        hint: ["set [tool.sheaf] uid to that number", "or choose another name: [tool.sheaf] user"],
      },
    );
  }
  const namesake = [...idsByName(passwd)].find(([, id]) => id === user.uid)?.[0];
  return namesake === undefined ? user : { ...user, name: namesake };
}

/** What the image takes from its base: environment below its own, labels, and the PID 1 that there is. */
function configOver(image: BaseImage, config: ImagePlan["config"], tini: string[]): ImagePlan["config"] {
  // Docker writes null for what is empty.
  const { Env, Labels } = image.facts.config;
  const source = `base image ${image.reference}`;
  const env = new Map(Object.entries(config.env));
  for (const variable of Env ?? []) {
    const name = variable.split("=")[0] ?? "";
    const value = variable.slice(name.length + 1);
    const own = env.get(name);
    if (name === "PATH" && own && own.source === "default") env.set(name, { value: joinPath(value), source });
    else if (name === "PYTHONPATH" && own) env.set(name, { ...own, value: `${own.value}:${value}` });
    else if (!own) env.set(name, { value, source });
  }
  const labels: Record<string, Sourced<string>> = {
    ...Object.fromEntries(Object.entries(Labels ?? {}).map(([name, value]) => [name, { value, source }])),
    ...config.labels,
    "org.opencontainers.image.base.digest": { value: image.facts.digest, source: "plan" },
  };
  if (image.name === undefined) delete labels["org.opencontainers.image.base.name"];
  const entrypoint: Sourced<string[]> =
    tini.length > 0
      ? { value: tini, source: config.entrypoint.source }
      : { value: [], source: "the base has no tini, and none can be added" };
  return { ...config, env: sorted(env), labels: sorted(new Map(Object.entries(labels))), entrypoint };
}

function joinPath(path: string): string {
  return [...new Set(["/usr/local/bin", ...path.split(":").filter((folder) => folder !== "")])].join(":");
}

function sorted<T>(values: ReadonlyMap<string, T>): Record<string, T> {
  return Object.fromEntries([...values].toSorted(([a], [b]) => byCodeUnit(a, b)));
}

/** PID 1 of an image over a base: its own tini or dumb-init, Debian's tini where that can be added, nothing otherwise. */
function processOne(image: BaseImage, archive: DebianArchive): { entrypoint: string[]; isAdded: boolean } {
  const { tini, "dumb-init": dumbInit } = image.facts.programs;
  const own = tini ?? dumbInit;
  if (own !== undefined) return { entrypoint: [own, "--"], isAdded: false };
  if (archive.find("tini")) return { entrypoint: ["/usr/bin/tini", "--"], isAdded: true };
  return { entrypoint: [], isAdded: false };
}

/** The HTTP client that a probe can use. */
function probeClient(image: BaseImage): "wget" | "curl" | "python" {
  const { wget, curl } = image.facts.programs;
  return wget !== undefined ? "wget" : curl !== undefined ? "curl" : "python";
}

/** A base may have no `python3`, only the name with the minor version. */
function probeOver(image: BaseImage, health: Sourced<HealthPlan> | undefined): Sourced<HealthPlan> | undefined {
  const [program, ...rest] = health?.value.test ?? [];
  const executable = image.facts.python?.layout.executable;
  if (!health || program !== "python3" || image.facts.programs["python3"] !== undefined || !executable) return health;
  return { ...health, value: { ...health.value, test: [executable, ...rest] } };
}

/** The project's files where the base's links lead. */
function filesOver({ tree }: BaseImage, files: PlannedFile[]): PlannedFile[] {
  return files.map((file) => ({ ...file, path: tree.place(file.path) })).toSorted(byPath);
}

function foreignNote({ facts: { os } }: BaseImage): PlanNote {
  return {
    level: "note",
    message: `the base is ${os.name}: no packages of this machine's apt sources are added to it`,
    hint: "libraries that it lacks are warned of; put them into the base",
  };
}

const reaperNote: PlanNote = {
  level: "note",
  message: "the base has no tini, so the server itself is PID 1: it gets the signals, and nobody reaps orphans",
  hint: "docker run --init adds one; or put tini into the base",
};

/** Stands for the packages of a base that this machine's apt has none for. */
function noArchive({ facts: { os }, reference }: BaseImage): DebianArchive {
  const refuse = (names: string[]): never => {
    throw new SheafError(
      "SHEAF_BASE_PACKAGES",
      `${names.join(", ")} can't be added to the base ${reference} (${os.name})`,
      {
        hint: [
          "packages can be added to Debian and Ubuntu, from suites that this machine's apt sources have",
          "put them into the base, or use --base debian",
        ],
      },
    );
  };
  return {
    codename: "",
    version: "",
    id: "debian",
    signedAt: "",
    resolve: (names) => (names.length > 0 ? refuse(names) : []),
    find: () => undefined,
    whoHas: async () => new Map(),
    fetch: async (pkg) => refuse([pkg.name]),
  };
}
