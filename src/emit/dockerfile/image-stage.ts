import { cudaLabels } from "../../cuda/labels.ts";
import { withoutPreflight } from "../../cuda/preflight/words.ts";
import { probeWithPython } from "../../plan/health.ts";
import { byCodeUnit } from "../../order.ts";
import type { HealthPlan } from "../../plan/image-plan.ts";
import { type WantedPackage, wantedPackages } from "./debian-packages.ts";
import { compileAllBut } from "./compile-all.ts";
import { type Pair, variablesOf } from "./variables.ts";
import { type ProjectStage, writableOutside } from "./project-stage.ts";
import { type ImageRecipe, venv } from "./recipe.ts";
import { trimmedFolder } from "./trim-stage.ts";
import { assignments, comment, continued, execForm, literal, shellWord } from "./words.ts";

/** Where a stage's Python comes from and what has to be done to it. */
export interface PythonHome {
  /** Image of the stage, as after FROM. */
  from: string;
  /** Its standard library, as a shell pattern. */
  stdlib: string;
  /** A folder that the builder made, for a base that has no Python. */
  copied?: string;
}

/** What all images of a file have alike: written once, in the stage that they start from. */
export interface Shared {
  packages: WantedPackage[];
  variables: Pair[];
  labels: Pair[];
  entrypoint?: string[];
  stopSignal?: string;
  workdir?: string;
  /** Whether no image has to be root once more for packages or folders of its own. */
  user: boolean;
}

/** What one image has alone is everything, when nothing is shared. */
export function sharedBy(recipes: readonly ImageRecipe[], base: string): Shared {
  const all = recipes.map((recipe) => factsOf(recipe, base));
  const [first] = all;
  if (!first) throw new Error("no image shares with none");
  const packages = first.packages.filter(({ name }) => all.every((each) => has(each.packages, name)));
  const same = <T>(value: (facts: Facts) => T): boolean =>
    all.every((each) => JSON.stringify(value(each)) === JSON.stringify(value(first)));
  return {
    packages,
    variables: inAll(all.map(({ variables }) => variables)),
    labels: inAll(all.map(({ labels }) => labels)),
    ...(same(({ entrypoint }) => entrypoint) ? { entrypoint: first.entrypoint } : {}),
    ...(same(({ stopSignal }) => stopSignal) ? { stopSignal: first.stopSignal } : {}),
    ...(same(({ workdir }) => workdir) ? { workdir: first.workdir } : {}),
    user: all.every((each) => each.packages.length === packages.length && each.outside.length === 0),
  };
}

interface Facts {
  packages: WantedPackage[];
  variables: Pair[];
  labels: Pair[];
  entrypoint: string[];
  stopSignal: string;
  workdir: string;
  outside: string[];
}

function factsOf({ plan, trimmed = false }: ImageRecipe, base: string): Facts {
  const { config } = plan;
  const labels = Object.entries(config.labels)
    .filter(([name]) => trimmed || !ofTrimmedImages.has(name))
    .toSorted(([a], [b]) => byCodeUnit(a, b))
    .map(([name, { value }]): Pair =>
      name === "org.opencontainers.image.base.name" ? [name, base] : [literal(name), literal(value)],
    );
  return {
    packages: wantedPackages(plan),
    variables: variablesOf(plan).common,
    labels,
    entrypoint: withoutPreflight(config.entrypoint.value),
    stopSignal: config.stopSignal.value,
    workdir: config.workdir.value,
    outside: writableOutside(plan),
  };
}

/** What pip installs is whole, unless a stage makes it less. */
const ofTrimmedImages: ReadonlySet<string> = new Set([
  cudaLabels.targets,
  cudaLabels.profile,
  cudaLabels.leftOut,
  cudaLabels.nvidiaModified,
]);

function has(packages: readonly WantedPackage[], name: string): boolean {
  return packages.some((each) => each.name === name);
}

function inAll(lists: readonly Pair[][]): Pair[] {
  return (lists[0] ?? []).filter((pair) => lists.every((pairs) => holds(pairs, pair)));
}

function holds(pairs: readonly Pair[], [name, value]: Pair): boolean {
  return pairs.some(([other, given]) => other === name && given === value);
}

/**
 * Folders of the base's Python that nothing imports. They stay: a file that a later layer deletes is shipped all the same, and no
 * scanner sees it any more.
 */
const unimported = ["test", "idlelib", "lib2to3", "tkinter", "ensurepip", "site-packages"];

/** The system below the images: Debian packages, the user, bytecode of the standard library; shared settings. */
export function systemStage(
  stage: string,
  recipe: ImageRecipe,
  options: { home: PythonHome; shared: Shared },
): string[] {
  const { home, shared } = options;
  const { name, uid, gid } = recipe.plan.user.value;
  const folder = recipe.plan.config.env["HOME"]?.value ?? `/home/${name}`;
  const packages = shared.packages.map((each) => each.name).join(" ");
  const libraries = shared.packages.filter(({ reason }) => reason.includes(".so"));
  const own = home.copied === undefined;
  return [
    ...comment(
      "The user has a number, which Kubernetes can tell from root's, and a name for people. tini is PID 1: signals arrive",
      "while the server still starts, and orphans are reaped.",
      ...libraries.map((each) => `${each.name}: ${each.reason}.`),
    ),
    `FROM ${home.from} AS ${stage}`,
    ...comment(
      "Debian's servers have the newest version of a package only, so none is pinned.",
      "hadolint ignore=DL3008",
    ),
    ...continued([
      `RUN apt-get update && apt-get install -y --no-install-recommends ${packages}`,
      "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*",
      `    && groupadd -r -g ${gid} ${name}`,
      `    && useradd -r -l -m -u ${uid} -g ${name} -d ${shellWord(folder)} -s /usr/sbin/nologin ${name}`,
      // Nobody becomes anybody else in a container: mount, su and passwd lose other users' rights.
      "    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +",
      ...(own && recipe.install.bytecode ? compileStdlib(home.stdlib) : []),
    ]),
    ...(shared.variables.some(([variable]) => variable === "APP_ENV") ? ["ARG APP_ENV"] : []),
    ...assignments("ENV", shared.variables),
    ...assignments("LABEL", shared.labels),
    ...(shared.workdir === undefined ? [] : [`WORKDIR ${literal(shared.workdir)}`]),
    ...(shared.user ? [`USER ${uid}:${gid}`] : []),
    ...(shared.stopSignal === undefined ? [] : [`STOPSIGNAL ${shared.stopSignal}`]),
    ...(shared.entrypoint === undefined ? [] : [`ENTRYPOINT ${execForm(shared.entrypoint)}`]),
  ];
}

function compileStdlib(stdlib: string): string[] {
  const [first, second] = compileAllBut(stdlib, unimported);
  return [`    && ${first}`, `        ${second}`];
}

export interface ImageStageOptions {
  builder: string;
  project: ProjectStage;
  home: PythonHome;
  shared: Shared;
}

/** What makes one image of the system: its packages, the project, and how it runs, as far as it isn't shared. */
export function imageStage(recipe: ImageRecipe, options: ImageStageOptions): string[] {
  const { project, shared, home } = options;
  const { plan } = recipe;
  const { config } = plan;
  const { uid, gid } = plan.user.value;
  const facts = factsOf(recipe, home.from);
  const packages = facts.packages.filter(({ name }) => !has(shared.packages, name)).map(({ name }) => name);
  const folders = facts.outside.map((folder) => shellWord(folder));
  const variables = facts.variables.filter((pair) => !holds(shared.variables, pair));
  return [
    ...(packages.length > 0
      ? [
          ...comment("hadolint ignore=DL3008"),
          ...continued([
            `RUN apt-get update && apt-get install -y --no-install-recommends ${packages.join(" ")}`,
            "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*",
          ]),
        ]
      : []),
    ...(folders.length > 0 ? [`RUN install -d -o ${uid} -g ${gid} ${folders.join(" ")}`] : []),
    ...(home.copied === undefined ? [] : [`COPY --link --from=builder ${home.copied} ${home.copied}`]),
    `COPY --link --from=${options.builder} ${recipe.trimmed ? trimmedFolder : venv} ${venv}`,
    `COPY --link --from=${project.stage} ${literal(project.from)} ${literal(project.to)}`,
    ...(variables.some(([name]) => name === "APP_ENV") ? ["ARG APP_ENV"] : []),
    ...assignments("ENV", variables),
    ...assignments(
      "LABEL",
      facts.labels.filter((pair) => !holds(shared.labels, pair)),
    ),
    ...(shared.workdir === undefined ? [`WORKDIR ${literal(facts.workdir)}`] : []),
    ...(shared.user ? [] : [`USER ${uid}:${gid}`]),
    ...(config.ports.length > 0 ? [`EXPOSE ${config.ports.map(({ value }) => value).join(" ")}`] : []),
    ...(config.health ? healthLines(config.health.value) : []),
    ...(shared.stopSignal === undefined ? [`STOPSIGNAL ${facts.stopSignal}`] : []),
    ...(shared.entrypoint === undefined ? [`ENTRYPOINT ${execForm(facts.entrypoint)}`] : []),
    `CMD ${execForm(config.command.value)}`,
  ];
}

function healthLines(planned: HealthPlan): string[] {
  const { interval, timeout, startPeriod, retries } = planned;
  const times = `--interval=${interval}s --timeout=${timeout}s --start-period=${startPeriod}s --retries=${retries}`;
  const { test, url } = probeWithPython(planned);
  if (test[0] === "curl" && url !== undefined)
    return [
      ...comment("hadolint ignore=DL3025"),
      ...continued([`HEALTHCHECK ${times}`, `    CMD curl -f ${shellWord(url)} || exit 1`]),
    ];
  return [...comment(...reasonOf(test, url)), ...continued([`HEALTHCHECK ${times}`, `    CMD ${execForm(test)}`])];
}

/** Why this probe and no other. */
function reasonOf(test: readonly string[], url: string | undefined): string[] {
  if (test.at(-1)?.includes("/proc/"))
    return ["Looks for the process: a worker that is busy with a long task answers nothing."];
  if (test[0] !== "python3") return [];
  return url === undefined
    ? ["No route is known that tells of health, so this asks whether the port answers."]
    : ["Python is there to ask; curl would be 5 MB more to download and to keep up to date."];
}
