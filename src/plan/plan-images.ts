import type { DebianArchive } from "../debian/archive.ts";
import { glibcIn, glibcOfSuite } from "../debian/glibc.ts";
import { readOsRelease } from "../debian/sources.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import { interpreterKey } from "../interpreter/collect.ts";
import { pythonLayout } from "../interpreter/layout.ts";
import type { Platform } from "../platform.ts";
import type { Project } from "../project/project.ts";
import { readProject } from "../project/read-project.ts";
import { resolveDistributions } from "../resolve/resolve.ts";
import type { Distribution, Resolution, Target } from "../resolve/resolution.ts";
import { type InstallOptions, startWheel } from "../ingest/ingest.ts";
import type { ChosenBase } from "./base-image.ts";
import { checkImports } from "./check-imports.ts";
import { cudaNotes, isCpuOnly, mayBeRefused, refuseCudaInApi } from "./cuda-packages.ts";
import { chooseImages, configuresApps, type ImageIntent } from "./choose-images.ts";
import { chooseProjectPython } from "./choose-project-python.ts";
import { type ChosenPython, findCompiler } from "./choose-python.ts";
import { readCommand } from "./command.ts";
import { plannedDistribution } from "./environment.ts";
import { fileNotes } from "./file-notes.ts";
import { prepareGpu } from "./gpu/prepare-gpu.ts";
import { flowerLeftOut } from "./flower.ts";
import { describeImage, type DescribedImage } from "./describe-image.ts";
import { onlyImage } from "./only-image.ts";
import { chooseBase, composedBase, debianParts, planOver } from "./planned-base.ts";
import type { OverBase } from "./over-base.ts";
import { buildArgument, choosePlatform, type PlanOptions } from "./options.ts";
import { type ImagePlan, type ImageSketch, type InstallPlan, type PlanNote, planVersion } from "./image-plan.ts";
import { prepareWithSetuptools } from "./legacy-setuptools.ts";
import { type OwnCode, ownImports, readOwnCode } from "./own-code.ts";
import type { PlannedImage, PlannedProject } from "./planned-image.ts";
import { resolveRequirements } from "./resolve-requirements.ts";
import type { PlanServices } from "./services.ts";
import { startEarly } from "./start-early.ts";
import { startModules } from "./start-modules.ts";
import { wantedPackages } from "./wanted-packages.ts";
import { createdTime } from "./created-time.ts";

/**
 * Reads a repository and plans its images: fetches what the store lacks, resolves, closes libraries and imports.
 * @throws SheafError for everything that a person has to mend
 */
export async function planImages(options: PlanOptions, services: PlanServices): Promise<PlannedProject> {
  const project = await readProject(options.directory, { app: options.app, records: services.store });
  const platform = choosePlatform(options.platform, project);
  const chosen = chooseImages(project, { names: options.images });
  const intents = options.one === undefined ? chosen : onlyImage(chosen, { what: options.one, emit: services.emit });
  const planner = new Planner(
    { project, platform, options, intents, code: readOwnCode(project), fetchesEarly: true },
    services,
  );
  const images: PlannedImage[] = [];
  for (const intent of intents) {
    if (intent.kind === "debian") images.push(await planner.planDebian(intent));
    else if (await planner.lacksFlower(intent)) services.emit(flowerLeftOut(intent));
    else images.push(await planner.plan(intent));
  }
  return { project, images };
}

export interface PlannerInput {
  project: Project;
  platform: Platform;
  options: PlanOptions;
  intents: ImageIntent[];
  code: OwnCode;
  /** Nothing is fetched before it is needed: what is asked for may need none of it. */
  fetchesEarly: boolean;
}

/** Plans one image after another over parts that they share: archive, interpreter, resolutions. */
export class Planner {
  readonly #input: PlannerInput;
  readonly #services: PlanServices;
  readonly #archives = new Map<string, Promise<DebianArchive>>();
  #python: Promise<ChosenPython> | undefined;
  /** How wheels are installed, once that is known. */
  #install: InstallOptions | undefined;
  #base: Promise<ChosenBase | undefined> | undefined;

  constructor(input: PlannerInput, services: PlanServices) {
    this.#input = input;
    this.#services = services;
  }

  /** What markers and tags are evaluated for. */
  async target(): Promise<Target> {
    const { choice } = await (this.#python ??= this.#choosePython());
    return this.#targetOf(choice);
  }

  async #targetOf(choice: InterpreterChoice): Promise<Target> {
    const { platform } = this.#input;
    const base = await this.#chosenBase();
    const glibc = base?.image.facts.glibc ?? (base ? undefined : this.#knownGlibc(choice));
    return { platform, python: choice.version, glibc: glibc ?? glibcIn(await this.#archiveFor(choice)) };
  }

  #knownGlibc(choice: InterpreterChoice): [number, number] | undefined {
    const { project, options } = this.#input;
    const codename = choice.suite ?? options.suite ?? project.config.suite ?? readOsRelease()["VERSION_CODENAME"];
    return codename === undefined ? undefined : glibcOfSuite(codename);
  }

  /** Whether a compose file names flower, and what the project installs doesn't have it. */
  async lacksFlower(intent: ImageIntent): Promise<boolean> {
    if (intent.role !== "flower" || configuresApps(this.#input.project.config)) return false;
    const { distributions } = await this.#resolution(intent, await this.target());
    return !distributions.some(({ name }) => name === "flower");
  }

  async planDebian(intent: ImageIntent): Promise<PlannedImage> {
    const { project, platform, options } = this.#input;
    const { planDebianImage } = await import("./plan-debian.ts");
    const archive = await this.#archive(options.suite ?? project.config.suite);
    return planDebianImage({ project, intent, platform, archive }, this.#services);
  }

  async plan(intent: ImageIntent, widenedBy: string[] = []): Promise<PlannedImage> {
    const { project, platform, code } = this.#input;
    const { config } = project;
    const { choice, notes } = await (this.#python ??= this.#choosePython((first) => this.#startEarly(first)));
    const chosenBase = await this.#chosenBase();
    const [archive, asked] = await Promise.all([
      this.#archiveFor(choice),
      this.target().then((target) => this.#resolve(intent, target)),
    ]);
    refuseCudaInApi(intent, asked);
    const over = chosenBase && (await planOver(chosenBase, archive, choice));
    const debianPython = choice.kind === "debian" ? await debianParts(archive, choice) : undefined;
    const base = over?.base ?? composedBase(archive, config.shell ?? true);
    const { run, placed } = this.#describe(intent, { resolution: asked, base, over });
    const importRoots = [...new Set([intent.app?.importRoot ?? "", project.directory, ""])];
    const facts = readCommand(run.config.command.value);
    const start = startModules({ facts, intent, code, importRoots });
    const records = this.#services.store;
    const own = await ownImports(code, { start, importRoots, python: choice.minor }, records);
    const compiler =
      config.bytecode === false ? undefined : findCompiler(choice, { platform, storeRoot: this.#services.store.root });
    const shell = config.shell ?? true;
    const strip = config.strip ?? true;
    const created = createdTime();
    const { packages, notes: packageNotes } = wantedPackages(intent, archive);
    const device = await prepareGpu(run, { resolution: asked, code, reached: own.reached }, records);
    const prepared = await prepareWithSetuptools(
      {
        platform,
        archive,
        archiveState: `${archive.codename} ${archive.signedAt}`,
        choice,
        identity: choice.prefix === undefined ? `${choice.kind} ${choice.version}` : interpreterKey(choice, { strip }),
        debianPython,
        resolution: asked,
        packages,
        shell,
        strip,
        ignoreScripts: config["ignore-scripts"] ?? [],
        keepFilesOf: config["keep-files-of"] ?? [],
        mtime: created,
        user: run.user.value,
        places: intent.role === "api" ? "load" : "all",
        imports: [...new Set([...own.names, facts.program])].toSorted(),
        compiler,
        layerBudget: config["layer-budget"] ?? 60,
        ...(device?.planned.request ? { device: device.planned.request } : {}),
        ...(over ? { over: over.request } : {}),
      },
      this.#services,
    );
    const { environment, resolution } = prepared;
    const { layout } = environment;
    if (!layout) throw new Error("an environment with Python has its layout");
    const inBase = over && choice.kind === "base" ? over.modules : [];
    const wider = await checkImports(
      {
        project,
        code,
        intent,
        environment,
        start,
        importRoots,
        minor: choice.minor,
        inBase,
        resolve: async (other) => this.#resolution(other, await this.target(), { tentative: true }),
      },
      records,
    );
    if (wider) return this.plan(wider.intent, [...widenedBy, ...wider.messages]);
    const forGpu = device?.finish({ ...device, environment, resolution, run, base, files: placed.files });
    const plan: ImagePlan = {
      planVersion,
      ...run,
      platform,
      python: {
        version: choice.version,
        kind: choice.kind,
        layout,
        identity: environment.layers.find((layer) => layer.record.kind === "python")?.record.diffId ?? "",
        reason: choice.reason,
        wanted: project.requiresPython,
      },
      base,
      packages: environment.packages,
      resolution: { source: resolution.source, locked: resolution.locked },
      ...(this.#input.options.installation ? { install: await this.#installation(intent, asked) } : {}),
      distributions: environment.distributions.map(plannedDistribution),
      files: placed.files,
      ...forGpu?.plan,
      withheld: project.withheld.map(({ path, reason, rule }) => ({ path, reason, rule })),
      options: { strip, bytecode: environment.bytecode, layerBudget: config["layer-budget"] ?? 60, created },
      notes: [
        ...fileNotes(project),
        ...[...widenedBy, ...prepared.messages].map((message): PlanNote => ({ level: "note", message })),
        ...notes,
        ...packageNotes,
        ...(over?.notes ?? []),
        ...environment.notes,
        ...(forGpu?.notes ?? []),
        ...cudaNotes(intent, resolution, environment.distributions),
        ...resolution.warnings.map((message): PlanNote => ({ level: "warning", message })),
      ],
    };
    const inImage = new Map(placed.files.map((file) => [file.from, file.path]));
    const reached = own.reached.map((file) => inImage.get(file)).filter((file): file is string => file !== undefined);
    return { plan, environment, reached, compiler, ...(over ? { base: over.request.image } : {}) };
  }

  /** How an image runs, without a package of it being fetched. */
  async sketch(intent: ImageIntent): Promise<ImageSketch> {
    if (intent.kind === "debian") {
      const { sketchDebianImage } = await import("./plan-debian.ts");
      return sketchDebianImage(this.#input.project, intent);
    }
    const { choice } = await (this.#python ??= this.#choosePython());
    const chosenBase = await this.#chosenBase();
    const over = chosenBase && (await planOver(chosenBase, await this.#archiveFor(choice), choice));
    const resolution = await this.#resolution(intent, await this.target(), { tentative: true });
    const { run, placed } = this.#describe(intent, { resolution, base: over?.base, over });
    return {
      ...run,
      kind: "python",
      shell: over?.tools.shell ?? this.#input.project.config.shell ?? true,
      packages: intent.packages.map(({ value }) => value),
      distributions: resolution.distributions.map(({ name }) => name),
      files: placed.files.map((file) => file.path),
    };
  }

  #describe(intent: ImageIntent, { resolution, base, over }: Described): DescribedImage {
    const { project, options, code } = this.#input;
    return describeImage({
      project,
      intent,
      resolution,
      sources: code.sources,
      store: this.#services.store,
      appEnv: buildArgument(options, "APP_ENV"),
      base: base?.kind === "image" ? base.reference : `debian:${base?.codename ?? ""}`,
      over,
    });
  }

  #chosenBase(): Promise<ChosenBase | undefined> {
    return (this.#base ??= chooseBase(this.#input, this.#services));
  }

  /** The suite of the base image, of the interpreter where that is Debian's, or the machine's own. */
  async #archiveFor(choice: InterpreterChoice): Promise<DebianArchive> {
    const base = await this.#chosenBase();
    if (base) return this.#archiveOf(base);
    const { project, options } = this.#input;
    return this.#archive(choice.suite ?? options.suite ?? project.config.suite);
  }

  async #archiveOf(base: ChosenBase): Promise<DebianArchive> {
    const { archiveOver } = await import("./over-base.ts");
    return archiveOver(base, (suite) => this.#archive(suite));
  }

  /** @param onFirst hears of the choice before the distributions have a say in it */
  async #choosePython(onFirst?: (choice: InterpreterChoice) => void): Promise<ChosenPython> {
    const { project, platform, options } = this.#input;
    const chosen = await chooseProjectPython(
      {
        project,
        platform,
        flag: options.python,
        suite: options.suite ?? project.config.suite,
        base: await this.#chosenBase(),
        archive: (suite) => this.#archive(suite),
        countSdists: (choice, tentative) => this.#countSdists(choice, tentative),
        onFirst,
      },
      this.#services,
    );
    if (this.#install) this.#install = this.#installOptions(chosen.choice);
    return chosen;
  }

  #startEarly(choice: InterpreterChoice): void {
    this.#install = this.#installOptions(choice);
    const { config } = this.#input.project;
    const { shell = true, strip = true, "ignore-scripts": ignoreScripts = [] } = config;
    const archive = () => this.#archiveFor(choice);
    startEarly({ choice, archive, shell, strip, ignoreScripts, mtime: createdTime() }, this.#services);
  }

  /** Known before all else is, unless Python comes with the base or as Debian packages. */
  #installOptions({ kind, minor }: InterpreterChoice): InstallOptions | undefined {
    if (kind === "base" || kind === "debian") return undefined;
    return { layout: pythonLayout(minor), strip: this.#input.project.config.strip ?? true, mtime: createdTime() };
  }

  /** Distributions of the first image that have no wheel for an interpreter. */
  async #countSdists(choice: InterpreterChoice, tentative: boolean): Promise<number> {
    const intent = this.#input.intents.find(({ kind }) => kind === "python");
    if (!intent) return 0;
    const { distributions } = await this.#resolution(intent, await this.#targetOf(choice), { tentative });
    return distributions.filter(({ kind }) => kind === "sdist").length;
  }

  #archive(suite: string | undefined): Promise<DebianArchive> {
    const key = suite ?? "";
    const known = this.#archives.get(key);
    if (known) return known;
    const { store, fetcher, emit, refresh, tasks } = this.#services;
    const prepareIndex = tasks.packageIndex;
    const opened = import("../debian/archive.ts").then(({ openDebianArchive }) =>
      openDebianArchive({ store, fetcher, emit, platform: this.#input.platform, suite, refresh, prepareIndex }),
    );
    this.#archives.set(key, opened);
    return opened;
  }

  async #resolution(intent: ImageIntent, target: Target, { tentative = false } = {}): Promise<Resolution> {
    const { project, options } = this.#input;
    if (intent.distributions) {
      const { value, source } = intent.distributions;
      const distributions = await resolveRequirements(value, target, this.#services);
      return { target, source, locked: false, distributions, localPackages: [], warnings: [] };
    }
    return resolveDistributions(
      {
        project,
        target,
        extras: intent.extras.value,
        groups: intent.groups.value,
        requirements: intent.requirements?.value,
        cpuOnly: isCpuOnly(intent),
        noBuild: options.noBuild,
        refresh: this.#services.refresh,
        onDistribution: tentative ? undefined : (distribution) => this.#fetchEarly(distribution, intent),
      },
      this.#services,
    );
  }

  async #installation(intent: ImageIntent, resolution: Resolution): Promise<InstallPlan> {
    const { planInstallation } = await import("./installation.ts");
    const { project, intents } = this.#input;
    const request = { project, intent, resolution, single: intents.length === 1 };
    return planInstallation(request, this.#services);
  }

  async #resolve(intent: ImageIntent, target: Target): Promise<Resolution> {
    const started = performance.now();
    const resolution = await this.#resolution(intent, target);
    const from = resolution.source.startsWith("resolved by") ? resolution.source : `from ${resolution.source}`;
    const message = `${resolution.distributions.length} distributions ${from}`;
    this.#services.emit({
      type: "stage",
      image: intent.name,
      stage: "resolve",
      message,
      seconds: (performance.now() - started) / 1000,
    });
    return resolution;
  }

  /** Starts with a file as soon as it is known. Whoever needs it waits for this same work, and hears of its failure. */
  #fetchEarly(distribution: Distribution, intent: ImageIntent): void {
    const { name, version, url, sha256, size, kind } = distribution;
    if (mayBeRefused(intent, name)) return;
    if (kind !== "wheel" || this.#services.offline || !this.#input.fetchesEarly) return;
    // What is left out of a GPU's libraries depends on all distributions.
    if (this.#install && !intent.settings.gpu) startWheel(distribution, this.#install, this.#services);
    else this.#services.fetcher.download({ url, sha256, size, label: `${name} ${version}` }).catch(() => {});
  }
}

interface Described {
  resolution: Resolution;
  base: ImagePlan["base"] | undefined;
  over: OverBase | undefined;
}
