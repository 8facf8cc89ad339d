import { SheafError } from "../errors.ts";
import { normalizeName } from "../wheel/filename.ts";
import { credentialsByOrigin, splitCredentials, withCredentials } from "./credentials.ts";
import { type IndexSettings, machineSettings, mergeSettings, projectSettings } from "./index-config.ts";
import type { Inputs } from "./inputs.ts";
import { Lookup } from "./lookup.ts";
import { materialise } from "./materialise.ts";
import type { LockReading } from "./pins.ts";
import { type PinsReading, readPins, sourceSettings } from "./read-pins.ts";
import { readPyproject } from "./pyproject.ts";
import type { Resolution } from "./resolution.ts";
import type { ResolveRequest, ResolveServices } from "./request.ts";
import { satisfies } from "./specifiers.ts";
import { table, tables, text } from "./toml.ts";
import { byCodeUnit } from "../order.ts";

/** Resolves without asking the record of the whole; look-ups of single releases still come from the store. */
export async function resolveAnew(
  request: ResolveRequest,
  services: ResolveServices,
  inputs: Inputs,
): Promise<Resolution> {
  checkPython(request);
  const normalised = {
    ...request,
    extras: [...new Set(request.extras.map(normalizeName))].toSorted(byCodeUnit),
    groups: [...new Set(request.groups.map(normalizeName))].toSorted(byCodeUnit),
  };
  const machine = indexSettings(request, inputs);
  const reading = await readPins(normalised, { services, inputs, settings: machine });
  refuseTwins(reading);
  const settings = mergeSettings([reading.settings, machine]);
  const lookup = new Lookup(services, settings, request.refresh ?? false);
  const { pins, cpuBuilds } = request.cpuOnly
    ? await preferCpu(reading, { request: normalised, lookup, settings, inputs })
    : { pins: reading.pins };
  const { distributions, warnings } = await materialise(pins, {
    store: services.store,
    fetcher: services.fetcher,
    lookup,
    target: request.target,
    noBuild: request.noBuild ?? false,
    noBinary: reading.noBinary,
    onlyBinary: reading.onlyBinary,
    onDistribution: request.onDistribution,
  });
  return {
    target: request.target,
    source: reading.source,
    locked: reading.locked,
    distributions: distributions.toSorted((a, b) => byCodeUnit(a.name, b.name) || byCodeUnit(a.version, b.version)),
    localPackages: reading.localPackages.toSorted((a, b) => byCodeUnit(a.name, b.name)),
    warnings: [...reading.warnings, ...warnings],
    ...(cpuBuilds ? { cpuBuilds } : {}),
  };
}

interface CpuContext {
  request: ResolveRequest;
  lookup: Lookup;
  settings: IndexSettings;
  inputs: Inputs;
}

/** Looks for torch's CPU build, the indexes that the project keeps for torch alone (`[tool.uv.sources]`) included. */
async function preferCpu(reading: PinsReading, { request, lookup, settings, inputs }: CpuContext) {
  const pins = reading.pins;
  if (!pins.some(({ name }) => name === "torch")) return { pins };
  const { withCpuBuilds } = await import("./cpu-builds.ts");
  const pyproject = readPyproject(inputs, request.project.directory);
  const sources = table(table(table(pyproject?.table["tool"])["uv"])["sources"])["torch"];
  const named = (Array.isArray(sources) ? tables(sources) : [table(sources)]).flatMap(({ index }) => {
    const url = settings.named[text(index) ?? ""];
    return url === undefined ? [] : [url];
  });
  const resolvedNow = reading.source.startsWith("resolved by");
  return withCpuBuilds({ pins, target: request.target, lookup, indexes: named, resolvedNow });
}

/** Where to look, but for what the lock or requirements say themselves. */
export function indexSettings(request: ResolveRequest, inputs: Inputs): IndexSettings {
  const pyproject = readPyproject(inputs, request.project.directory);
  return mergeSettings([...(pyproject ? [projectSettings(pyproject.table, inputs)] : []), machineSettings(inputs)]);
}

/** Extras that a lock declares to be in conflict can bring two versions of one name, which no environment can hold. */
function refuseTwins({ pins, source }: LockReading): void {
  const twin = pins.find((pin, index) => pins[index + 1]?.name === pin.name);
  if (!twin) return;
  const versions = pins.filter((pin) => pin.name === twin.name).map((pin) => pin.version);
  throw new SheafError("SHEAF_CONFLICT", `${twin.name} would be installed in versions ${versions.join(" and ")}`, {
    details: [["pinned in", source]],
    hint: "the chosen extras and groups exclude each other: choose fewer of them for one image",
  });
}

function checkPython(request: ResolveRequest): void {
  const requires = request.project.requiresPython;
  if (!requires || satisfies(request.target.python, requires.value)) return;
  throw new SheafError(
    "SHEAF_PYTHON",
    `the project needs Python ${requires.value}, the image has ${request.target.python}`,
    {
      details: [["requires-python", requires.source]],
      hint: "choose another with --python, or python in [tool.sheaf]",
    },
  );
}

/** For the record: no user and no password goes to disk. */
export function withoutCredentials(resolution: Resolution): { resolution: Resolution; removed: boolean } {
  let removed = false;
  const distributions = resolution.distributions.map((distribution) => {
    const { url, userinfo } = splitCredentials(distribution.url);
    if (userinfo) removed = true;
    return userinfo ? { ...distribution, url } : distribution;
  });
  return { resolution: { ...resolution, distributions }, removed };
}

/** The way back: credentials of each origin from the configuration and the requirements files that the record was made from. */
export function addCredentials(resolution: Resolution, request: ResolveRequest, inputs: Inputs): Resolution {
  const machine = indexSettings(request, inputs);
  const { default: main = "", extra, named } = mergeSettings([sourceSettings(request, inputs), machine]);
  const credentials = credentialsByOrigin([main, ...extra, ...Object.values(named)]);
  const distributions = resolution.distributions.map((item) => ({
    ...item,
    url: withCredentials(item.url, credentials),
  }));
  return { ...resolution, distributions };
}
