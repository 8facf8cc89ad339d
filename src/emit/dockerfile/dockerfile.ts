import { byCodeUnit } from "../../order.ts";
import type { ImagePlan } from "../../plan/image-plan.ts";
import { type Builder, buildersOf, builderStages } from "./builder.ts";
import { type WantedPackage, wantedPackages } from "./debian-packages.ts";
import { imageStage, type PythonHome, type Shared, sharedBy, systemStage } from "./image-stage.ts";
import { projectComment, type ProjectStage, projectStages } from "./project-stage.ts";
import { cudaOf, type ImageRecipe } from "./recipe.ts";
import { sheafContext, trimStage } from "./trim-stage.ts";
import { variablesOf } from "./variables.ts";
import { assignments, comment, literal } from "./words.ts";

/**
 * The official image: of the suite that the libraries are named after, where there are some; a later suite has them under
 * other names.
 */
function officialHome(recipes: readonly ImageRecipe[]): PythonHome {
  const libraries = recipes.flatMap(({ plan }) => wantedPackages(plan)).filter(({ reason }) => reason.includes(".so"));
  const codename = recipes.map(({ plan }) => (plan.base.kind === "debian" ? plan.base.codename : "")).find(Boolean);
  const suite = libraries.length > 0 && codename !== undefined && officialSuites.has(codename) ? `-${codename}` : "";
  return { from: `python:\${PYTHON_VERSION}-slim${suite}`, stdlib: "/usr/local/lib/python3*" };
}

/** Suites that the official Python images are made on. */
const officialSuites: ReadonlySet<string> = new Set(["bookworm", "trixie"]);

/**
 * All images of a project in one file, a stage each: the API, else the first, is what a build without a target makes, and
 * ENABLE_GPU=true makes the one for a GPU instead.
 */
export function dockerfileOf(recipes: readonly ImageRecipe[]): string {
  const [first] = recipes;
  if (!first) throw new Error("a Dockerfile of no image");
  const main = recipes.find(({ plan }) => plan.role === "api") ?? first;
  const others = recipes.filter((recipe) => recipe !== main);
  const gpu = recipes.find((recipe) => recipe.gpu);
  const official = officialHome(recipes);
  const { builders, builderOf } = buildersOf(recipes);
  const projects = projectStages(recipes);
  const shared = others.length === 0 ? alone(main, official.from) : sharedBy(recipes, official.from);
  const stage = (recipe: ImageRecipe): string[] => {
    const builder = (builderOf.get(recipe.plan.name) as Builder).stage;
    const project = projects.get(recipe.plan.name) as ProjectStage;
    return imageStage(recipe, { builder, project, home: official, shared });
  };
  return text([
    ...head(main, { others, gpu }),
    "",
    ...builderStages(builders, { from: official.from }),
    "",
    ...projectLines(projects, official.from),
    "",
    ...systemStage(others.length === 0 ? main.stage : "runtime", main, { home: official, shared }),
    ...(others.length === 0
      ? stage(main)
      : [...others, main].flatMap((recipe) => ["", `FROM runtime AS ${recipe.stage}`, ...stage(recipe)])),
    ...(gpu ? ["", ...gpuSelection(main, gpu, official.from)] : []),
  ]);
}

export interface GpuDockerfileOptions {
  /** An image with the CUDA runtime that it starts from, instead of the slim one. */
  cudaBase?: string;
  /** Take out what the plan leaves out, in a stage of its own. */
  trim?: boolean;
}

/** The image for a GPU alone, in a file of its own. */
export function gpuDockerfileOf(given: ImageRecipe, { cudaBase, trim = false }: GpuDockerfileOptions = {}): string {
  const recipe = { ...given, trimmed: trim };
  const { plan } = recipe;
  const official = officialHome([recipe]);
  const { builders } = buildersOf([recipe]);
  const projects = projectStages([recipe]);
  const folder = "/opt/python";
  const home =
    cudaBase === undefined ? official : { from: cudaBase, stdlib: `${folder}/*/lib/python3*`, copied: folder };
  const { common, gpu } = variablesOf(plan);
  const own = alone(recipe, home.from);
  const shared = {
    ...own,
    variables: [...common, ...gpu],
    packages: [...own.packages, ...(cudaBase === undefined ? [] : unlikeSlim)].toSorted((a, b) =>
      byCodeUnit(a.name, b.name),
    ),
  };
  return text([
    "# syntax=docker/dockerfile:1",
    ...comment(
      `The image "${plan.name}" for a GPU: docker build -f Dockerfile.gpu${trim ? contextOption : ""} -t ${tagOf(plan)} .`,
      ...gpuReason(cudaOf(plan), cudaBase),
      ...((plan.gpu?.value.capabilities || plan.device) && !trim ? [wholeCuda(plan)] : []),
    ),
    `ARG PYTHON_VERSION=${recipe.minor}`,
    ...appEnvArgument([recipe]),
    "",
    ...builderStages(builders, {
      from: official.from,
      ...(cudaBase === undefined ? {} : { interpreter: folder }),
    }),
    "",
    ...(trim ? [...trimStage(recipe, "builder"), ""] : []),
    ...projectLines(projects, official.from),
    "",
    ...systemStage("runtime", recipe, { home, shared }),
    ...imageStage(recipe, {
      builder: trim ? "trimmed" : "builder",
      project: projects.get(plan.name) as ProjectStage,
      home,
      shared,
    }),
  ]);
}

/** Of a single image all is shared but what reads better at its end. */
function alone(recipe: ImageRecipe, base: string): Shared {
  return { ...sharedBy([recipe], base), entrypoint: undefined, stopSignal: undefined, user: false };
}

/** What the official Python images have and CUDA's don't. */
const unlikeSlim: WantedPackage[] = ["ca-certificates", "netbase", "tzdata"].map((name) => ({
  name,
  reason: "as in the official Python images",
}));

function gpuReason(cuda: string | undefined, cudaBase: string | undefined): string[] {
  const brings = `The wheels bring their own CUDA${cuda === undefined ? "" : ` ${cuda}`}`;
  return cudaBase === undefined
    ? [`${brings}, so the base needs none: a second CUDA would be gigabytes that nothing loads.`]
    : [`${brings}; the base's is for what looks for one in the system.`];
}

/** pip installs wheels as they are: what the configuration leaves out takes sheaf build. */
function wholeCuda({ name }: ImagePlan): string {
  return `All of CUDA is in it, for all GPUs: sheaf build --image ${name} leaves out what [tool.sheaf.images.${name}] gpu says.`;
}

const contextOption = ` --build-context ${sheafContext}="$(npm root -g)/sheaf"`;

function head(main: ImageRecipe, { others, gpu }: { others: ImageRecipe[]; gpu: ImageRecipe | undefined }): string[] {
  const uses = [
    `docker build -t ${tagOf(main.plan)} .`,
    ...others.map(({ plan, stage }) => `docker build -t ${tagOf(plan)} --target ${stage} .`),
    ...(gpu ? [`docker build -t ${tagOf(gpu.plan)}-gpu --build-arg ENABLE_GPU=true .`] : []),
    "A private index, certificates of a proxy: --secret id=pip.conf,src=FILE --secret id=ca.crt,src=FILE",
    'Where Docker says "Unknown flag: link", DOCKER_BUILDKIT=1 gives it the builder that this is for.',
  ];
  return [
    "# syntax=docker/dockerfile:1",
    ...comment(...uses),
    `ARG PYTHON_VERSION=${main.minor}`,
    ...appEnvArgument([main, ...others]),
    ...(gpu ? gpuArguments : []),
  ];
}

function appEnvArgument(recipes: readonly ImageRecipe[]): string[] {
  const told = recipes.map(({ plan }) => plan.config.env["APP_ENV"]).find((value) => value !== undefined);
  return told ? [`ARG APP_ENV=${literal(told.value)}`] : [];
}

function projectLines(projects: ReadonlyMap<string, ProjectStage>, from: string): string[] {
  const stages = [...new Set(projects.values())];
  return stages.flatMap(({ stage, lines }, index) => [
    ...(index === 0 ? projectComment : [""]),
    `FROM ${from} AS ${stage}`,
    ...lines,
  ]);
}

/** Empty for true and for false, else the name of the stage that says what is wrong. */
const gpuArguments = [
  "ARG ENABLE_GPU=false",
  ...comment("Of another value something is left, and it leads to the stage that refuses it."),
  "ARG NOT_TRUE=${ENABLE_GPU/true/}",
  "ARG NEITHER=${NOT_TRUE/false/}",
  "ARG REFUSED=${NEITHER:+gpu-refused}",
];

function gpuSelection(main: ImageRecipe, gpu: ImageRecipe, from: string): string[] {
  return [
    `FROM ${gpu.stage} AS ${gpu.stage}-gpu`,
    ...assignments("ENV", variablesOf(gpu.plan).gpu),
    "",
    `FROM ${from} AS gpu-refused`,
    "ARG ENABLE_GPU",
    `RUN echo "ENABLE_GPU is either true or false, not '$ENABLE_GPU'." >&2 && exit 1`,
    "",
    ...comment("ENABLE_GPU names the stage to build; BuildKit builds nothing that it doesn't need."),
    `FROM ${main.stage} AS gpu-false`,
    `FROM ${gpu.stage}-gpu AS gpu-true`,
    ...comment("hadolint ignore=DL3006"),
    "FROM ${REFUSED:-gpu-${ENABLE_GPU:-false}}",
  ];
}

/** A name for the image that Docker takes. */
function tagOf({ project, name }: ImagePlan): string {
  return (project.name === name ? name : `${project.name}-${name}`)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}

function text(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}
