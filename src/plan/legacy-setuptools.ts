import type { Resolution } from "../resolve/resolution.ts";
import type { Store } from "../store/store.ts";
import {
  type Environment,
  type EnvironmentDistribution,
  type EnvironmentRequest,
  prepareEnvironment,
} from "./environment.ts";
import { resolveRequirements } from "./resolve-requirements.ts";
import type { PlanServices } from "./services.ts";
import { byCodeUnit } from "../order.ts";

/** The last releases of setuptools that bring pkg_resources. */
const legacySetuptools = "setuptools<81";

/** Raised when the same wheels give another answer. */
const recordVersion = 1;

export interface Prepared {
  environment: Environment;
  /** What is in it: as asked, or with setuptools. */
  resolution: Resolution;
  messages: string[];
}

/** Prepares an environment, with setuptools where a distribution can't be imported without. */
export async function prepareWithSetuptools(request: EnvironmentRequest, services: PlanServices): Promise<Prepared> {
  const environment = await prepareEnvironment(request, services);
  const { resolution, choice } = request;
  const asking =
    choice.kind === "base"
      ? undefined
      : await needsSetuptools({ distributions: environment.distributions, minor: choice.minor }, services.store);
  if (asking === undefined) return { environment, resolution, messages: [] };
  const source = `imported by ${asking}`;
  const added = (await resolveRequirements([legacySetuptools], resolution.target, services)).map((each) => ({
    ...each,
    source,
    requiredBy: [asking],
  }));
  const distributions = [...resolution.distributions, ...added].toSorted((a, b) => byCodeUnit(a.name, b.name));
  const extended = { ...resolution, distributions };
  const message = `setuptools is added: ${asking} imports its pkg_resources, which Python's images had before 3.12`;
  return {
    environment: await prepareEnvironment({ ...request, resolution: extended }, services),
    resolution: extended,
    messages: [message],
  };
}

export interface LegacyQuestion {
  distributions: readonly Pick<EnvironmentDistribution, "name" | "sha256" | "modules">[];
  /** `3.11` */
  minor: string;
}

/**
 * The distribution that imports pkg_resources as it loads, where nothing brings that. Official Python images and virtual
 * environments before 3.12 had setuptools in them, so pins of that time rely on it without asking for it.
 */
export async function needsSetuptools(
  { distributions, minor }: LegacyQuestion,
  store: Store,
): Promise<string | undefined> {
  if (Number(minor.split(".")[1]) >= 12) return undefined;
  if (distributions.some(({ modules }) => modules.includes("pkg_resources"))) return undefined;
  for (const { name, sha256 } of distributions) {
    const key = `${recordVersion} ${sha256}`;
    const known = store.readRecord<{ imports: boolean }>("imports-pkg-resources", key);
    const imports = known?.imports ?? (await importsPkgResources(sha256, store));
    if (imports === undefined) continue;
    if (!known) store.writeRecord("imports-pkg-resources", key, { imports });
    if (imports) return name;
  }
  return undefined;
}

/** Undefined when the store lacks the wheel. */
async function importsPkgResources(sha256: string, store: Store): Promise<boolean | undefined> {
  const [{ inflateEntry }, { wheelEntriesByPath }] = await Promise.all([
    import("../archive/zip.ts"),
    import("../ingest/wheel-blob.ts"),
  ]);
  const entries = wheelEntriesByPath(store, `sha256:${sha256}`);
  if (!entries) return undefined;
  for (const entry of entries.values()) {
    if (!entry.path.endsWith(".py") || /(?:^|\/)(?:tests?|testing|docs|examples)\//.test(entry.path)) continue;
    const source = Buffer.from(inflateEntry(entry)).toString("latin1");
    if (/^(?:import|from) pkg_resources\b/m.test(source)) return true;
  }
  return false;
}
