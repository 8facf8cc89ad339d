import type { InstallPlan } from "../../plan/image-plan.ts";
import { compileAll } from "./compile-all.ts";
import { type ImageRecipe, venv } from "./recipe.ts";
import { uvRelease } from "./uv-release.ts";
import { assignments, comment, continued, shellWord } from "./words.ts";

/** A stage that holds a whole virtual environment, and the images that get it. */
export interface Builder {
  stage: string;
  install: InstallPlan;
  /** Distributions that come as source, which pip or uv builds. */
  sources: string[];
  /** PEP 440 specifier of the Pythons that the project runs on. */
  python?: string;
}

export interface BuilderOptions {
  /** Image of the builders, after FROM. */
  from: string;
  /** Folder for a CPython that uv brings, which runs on any Linux: for images that have none. */
  interpreter?: string;
}

/** Images that install the same share a builder: one download, one layer. */
export function buildersOf(recipes: readonly ImageRecipe[]): { builders: Builder[]; builderOf: Map<string, Builder> } {
  const byInstall = new Map<string, Builder>();
  const builderOf = new Map<string, Builder>();
  for (const { plan, stage, install } of recipes) {
    const { kind, files, extras, groups, text } = install;
    const key = JSON.stringify([kind, kind === "written" ? text : files, extras.toSorted(), groups.toSorted()]);
    const sources = plan.distributions.filter(({ built }) => built).map(({ name }) => name);
    const python = plan.python?.wanted?.value;
    const builder = byInstall.get(key) ?? { stage: `builder-${stage}`, install, sources, python };
    byInstall.set(key, builder);
    builderOf.set(plan.name, builder);
  }
  const builders = [...byInstall.values()];
  const [only] = builders;
  if (builders.length === 1 && only) only.stage = "builder";
  return { builders, builderOf };
}

/** The stages that install: one for each environment, and what they have in common before them. */
export function builderStages(builders: readonly Builder[], { from, interpreter }: BuilderOptions): string[] {
  const usesUv = builders.some(({ install }) => install.kind === "uv.lock");
  const sources = [...new Set(builders.flatMap((each) => each.sources))].toSorted();
  const common = [
    ...comment("Installs into an environment that is copied whole; pip, caches and compilers stay behind."),
    `FROM ${from} AS builder`,
    ...assignments("ENV", [
      ["PIP_DISABLE_PIP_VERSION_CHECK", "1"],
      ["PIP_CERT", bundle],
      ["SSL_CERT_FILE", bundle],
      ...(usesUv ? uvVariables : []),
    ]),
    ...(sources.length > 0 ? compilers(sources) : []),
    ...(usesUv || interpreter !== undefined ? installUv() : []),
    ...(interpreter === undefined ? environment(builders) : managedPython(interpreter)),
  ];
  const [only] = builders;
  if (builders.length === 1 && only) return [...common, ...installation(only, true)];
  return [
    ...common,
    ...builders.flatMap((each, index) => ["", `FROM builder AS ${each.stage}`, ...installation(each, index === 0)]),
  ];
}

/** Of the user who builds, in every base image. */
const home = "/root";

/** What Debian's tools trust. A secret of this name stands over it while a step runs. */
const bundle = "/etc/ssl/certs/ca-certificates.crt";

const uvVariables: [string, string][] = [
  ["UV_PROJECT_ENVIRONMENT", venv],
  ["UV_PYTHON_DOWNLOADS", "manual"],
  ["UV_LINK_MODE", "copy"],
];

/** The environment; a Python that the project doesn't run on is refused first, which uv would do and pip wouldn't. */
function environment(builders: readonly Builder[]): string[] {
  const wanted = builders.find(({ install }) => install.kind !== "uv.lock")?.python;
  const make = `python -m venv --without-pip ${venv}`;
  if (wanted === undefined || !/^[\w.,<>=!~* ]+$/.test(wanted)) return [`RUN ${make}`];
  return [
    ...comment("Refuses a Python that the project doesn't run on, before anything is installed for it."),
    ...continued([
      `RUN python -c "import platform, sys; from pip._vendor.packaging.specifiers import SpecifierSet;`,
      `    version = platform.python_version(); wanted = '${wanted}';`,
      `    version in SpecifierSet(wanted) or sys.exit(f'PYTHON_VERSION is {version}, and the project wants {wanted}')"`,
      `    && ${make}`,
    ]),
  ];
}

function compilers(sources: readonly string[]): string[] {
  return [
    ...comment(`No wheel for this Python, so these are built: ${sources.join(", ")}.`, "hadolint ignore=DL3008"),
    ...continued([
      "RUN apt-get update && apt-get install -y --no-install-recommends build-essential",
      "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*",
    ]),
  ];
}

function installUv(): string[] {
  const hashes = uvRelease.sha256.map((hash) => `--hash=sha256:${hash}`);
  return continued([
    `RUN ${cacheOf("pip")}`,
    ...secretsOf("pip").map((mount) => `    ${mount}`),
    `    echo uv==${uvRelease.version} ${hashes[0] ?? ""}`,
    ...hashes.slice(1).map((hash) => `        ${hash}`),
    "        >/tmp/uv.txt && pip install --no-deps --require-hashes -r /tmp/uv.txt",
  ]);
}

/** A CPython that is linked to nothing but an old libc, and the environment that uses it. */
function managedPython(folder: string): string[] {
  const stdlib = `$(${venv}/bin/python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')`;
  const unused = ["ensurepip", "idlelib", "test", "tkinter", "site-packages/pip"].map((name) => `"$lib/${name}"`);
  return [
    ...comment(
      "The base has no Python of this version, and the one of this stage wants a newer libc. uv's runs on both.",
    ),
    ...continued([
      `RUN --mount=type=secret,id=ca.crt,target=${bundle}`,
      `    UV_PYTHON_INSTALL_DIR=${folder} uv venv --managed-python --python "\${PYTHON_VERSION}" ${venv}`,
      `    && lib="${stdlib}"`,
      `    && rm -rf ${unused.join(" ")}`,
      `    && ${compileAll('"$lib"')}`,
    ]),
  ];
}

function cacheOf(tool: "pip" | "uv"): string {
  return `--mount=type=cache,target=${home}/.cache/${tool}`;
}

/** Read by whoever gives them, and by nobody else: a secret that is not given is no mount. */
function secretsOf(tool: "pip" | "uv"): string[] {
  const config =
    tool === "pip" ? `id=pip.conf,target=${home}/.config/pip/pip.conf` : "id=uv.toml,target=/etc/uv/uv.toml";
  return [`--mount=type=secret,${config}`, `--mount=type=secret,id=ca.crt,target=${bundle}`];
}

/** The lock is mounted, not copied: the step runs again when it changes, and finds what it had downloaded. */
function installation({ install, sources }: Builder, explained: boolean): string[] {
  const tool = install.kind === "uv.lock" ? "uv" : "pip";
  const login = install.indexes.length > 0 ? [`--mount=type=secret,id=netrc,target=${home}/.netrc`] : [];
  const mounts = [
    ...secretsOf(tool),
    ...login,
    ...install.reads.map((file) => `--mount=type=bind,source=${file},target=/build/${file}`),
  ];
  return [
    ...(explained ? explanation(install) : []),
    ...continued([
      `RUN ${cacheOf(tool)}`,
      ...mounts.map((mount) => `    ${mount}`),
      ...(tool === "uv" ? uvSync(install) : pipInstall(install, sources)).map((line) => `    ${line}`),
      ...(install.bytecode ? [`    && ${compileAll(venv)}`] : []),
    ]),
  ];
}

function explanation({ bytecode }: InstallPlan): string[] {
  return comment(
    "Each file is checked against its hash. The lock is mounted: only a change of it runs this again.",
    ...(bytecode
      ? ["Modules are compiled once, here (what can't be stays source): the image's user could keep nothing of it."]
      : []),
  );
}

function pipInstall({ files }: InstallPlan, sources: readonly string[]): string[] {
  // Nothing is run to install a wheel; a source that turns up unforeseen is an error.
  const wheels = sources.length > 0 ? "" : " --only-binary=:all:";
  return [
    `pip --python ${venv}/bin/python install --require-hashes --no-deps --no-compile${wheels}`,
    `    ${files.map((file) => `-r /build/${file}`).join(" ")}`,
  ];
}

function uvSync({ files, extras, groups }: InstallPlan): string[] {
  const folder = (files[0] ?? "").split("/").slice(0, -1).join("/");
  const chosen = [
    ...extras.map((name) => `--extra ${shellWord(name)}`),
    ...groups.map((name) => `--group ${shellWord(name)}`),
  ];
  return [
    `uv sync --project /build${folder === "" ? "" : `/${folder}`} --locked --no-install-project --no-default-groups`,
    ...(chosen.length > 0 ? [`    ${chosen.join(" ")}`] : []),
  ];
}
