import { isCudaDistribution } from "../cuda/distributions.ts";
import { SheafError } from "../errors.ts";
import type { MissingImport } from "../project/import-closure.ts";
import type { Project, Sourced } from "../project/project.ts";
import type { Resolution } from "../resolve/resolution.ts";
import type { ImageIntent } from "./choose-images.ts";
import { isCpuOnly } from "./cuda-packages.ts";
import { mayProvide } from "./module-names.ts";

/** An extra or group of the project that brings a module. */
export interface Offer {
  kind: "extra" | "group";
  name: string;
  /** Whether CUDA comes with it. */
  cuda?: boolean;
}

export interface ExtrasQuestion {
  project: Project;
  intent: ImageIntent;
  missing: MissingImport[];
  /** Resolves the image as it would be with other extras and groups. */
  resolve: (intent: ImageIntent) => Promise<Resolution>;
}

const mostOffers = 12;

/** For each module that an image lacks, the extras and groups that bring it. */
export async function extrasWith({ project, intent, missing, resolve }: ExtrasQuestion): Promise<Map<string, Offer[]>> {
  const offers: Offer[] = [
    ...project.extras
      .filter((name) => !intent.extras.value.includes(name))
      .map((name) => ({ kind: "extra", name }) as const),
    ...project.groups
      .filter((name) => !intent.groups.value.includes(name))
      .map((name) => ({ kind: "group", name }) as const),
  ];
  const found = new Map<string, Offer[]>();
  const wanted = new Set(missing.map(({ module }) => topOf(module)));
  if (wanted.size === 0) return found;
  for (const offer of offers.slice(0, mostOffers)) {
    const names = await distributionsWith(offer, intent, resolve);
    const told = names.some(isCudaDistribution) ? { ...offer, cuda: true } : offer;
    for (const module of wanted) {
      if (names.some((name) => mayProvide(name, module))) found.set(module, [...(found.get(module) ?? []), told]);
    }
  }
  return found;
}

async function distributionsWith(
  offer: Offer,
  intent: ImageIntent,
  resolve: ExtrasQuestion["resolve"],
): Promise<string[]> {
  try {
    return (await resolve(withOffers(intent, [offer], "import"))).distributions.map(({ name }) => name);
  } catch (error) {
    // What can't be resolved is no help; the missing module is told of all the same.
    if (error instanceof SheafError) return [];
    throw error;
  }
}

/** The image with what it imports, where exactly one extra or group brings each; undefined when there is nothing to add. */
export function widened(
  intent: ImageIntent,
  missing: MissingImport[],
  found: ReadonlyMap<string, Offer[]>,
): { intent: ImageIntent; messages: string[] } | undefined {
  const messages: string[] = [];
  const chosen = new Map<string, Offer>();
  for (const { module, chain } of missing) {
    const [offer, ...others] = productive(found.get(topOf(module)) ?? []);
    // An API doesn't get CUDA by itself: what imports torch is told instead.
    if (offer?.cuda && intent.role === "api" && isCpuOnly(intent)) continue;
    if (!offer || others.length > 0 || chosen.has(`${offer.kind} ${offer.name}`)) continue;
    chosen.set(`${offer.kind} ${offer.name}`, offer);
    const step = chain.at(-1);
    messages.push(
      `the ${offer.kind} ${JSON.stringify(offer.name)} is in the image "${intent.name}": ${step ? `${step.file}:${step.line} imports` : "the start imports"} ${topOf(module)}`,
    );
  }
  return chosen.size === 0
    ? undefined
    : { intent: withOffers(intent, [...chosen.values()], "imported by the app"), messages };
}

/** Extras for development often have everything; one that is for production is meant. */
function productive(offers: Offer[]): Offer[] {
  const some = offers.filter(
    ({ name }) => !/^(?:all|full|everything|dev|develop(?:ment)?|tests?|testing|docs?|lint|ci)$/i.test(name),
  );
  return some.length > 0 ? some : offers.filter(({ name }) => /^(?:all|full|everything)$/i.test(name));
}

function withOffers(intent: ImageIntent, offers: Offer[], source: string): ImageIntent {
  const add = (present: Sourced<string[]>, kind: Offer["kind"]): Sourced<string[]> => {
    const names = offers.filter((offer) => offer.kind === kind).map(({ name }) => name);
    return names.length === 0 ? present : { value: [...present.value, ...names], source };
  };
  return { ...intent, extras: add(intent.extras, "extra"), groups: add(intent.groups, "group") };
}

export function topOf(module: string): string {
  return module.split(".")[0] ?? module;
}
