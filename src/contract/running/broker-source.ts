import { settingsFields } from "../../project/settings-fields.ts";
import { redisVariable } from "../../project/service-variables.ts";
import type { Image } from "../../oci/image.ts";
import type { Contract } from "../contract.ts";
import { installedDistributions } from "../facts/distributions.ts";
import { type ImageFacts, textOf } from "../facts/image-facts.ts";
import { environmentOf } from "../facts/programs.ts";
import { brokerHost, brokerPort, brokerUrl } from "./broker.ts";
import { hostBrokerImage } from "./broker-image.ts";

/** Where the broker of an image's checks comes from, and by which variables the image finds it. */
export interface BrokerSource {
  /** The broker as an image, or the reason why there is none. */
  image(): Promise<Image | string>;
  variables: Record<string, string>;
}

export interface BrokerQuestion {
  image: Image;
  facts: ImageFacts;
  contract: Contract;
  /** Makes an image of Redis where this machine has no redis-server, or says why it can't. */
  composeBroker: () => Promise<Image | string>;
}

const parts = new Set(["worker", "beat", "flower"]);

/** The broker that an image wants beside it: a part of Celery does, and whoever says so. A reason where it can't have one. */
export function brokerSourceOf({
  image,
  facts,
  contract,
  composeBroker,
}: BrokerQuestion): BrokerSource | string | undefined {
  const { brokerEnv, role } = contract;
  if (brokerEnv === undefined && !(parts.has(role) && has(facts, "celery"))) return undefined;
  if (brokerEnv?.length === 0) return "the contract's broker-env is empty";
  if (!has(facts, "redis") && brokerEnv === undefined)
    return "the broker of this check is a Redis, and the image has no client for one (the distribution redis)";
  const variables = brokerEnv
    ? Object.fromEntries(
        brokerEnv.map((name) => [name, redisVariable({ name }, brokerHost, brokerPort) ?? brokerUrl()]),
      )
    : brokerVariables(facts, { ...Object.fromEntries(environmentOf(image.config.config ?? {})), ...contract.runEnv });
  return { image: async () => (await hostBrokerImage()) ?? (await composeBroker()), variables };
}

function has(facts: ImageFacts, name: string): boolean {
  return facts.derived(installedDistributions).some((each) => each.name === name);
}

/**
 * Celery takes CELERY_BROKER_URL before anything that its app is configured with. Variables that the image's own code reads, or that
 * it is given, lead to the same Redis where their name or their default says that they are such.
 */
function brokerVariables(facts: ImageFacts, given: Record<string, string>): Record<string, string> {
  const read = settingsFields(facts.derived(ownSources));
  const known = [...read, ...Object.entries(given).map(([name, value]) => ({ name, default: value }))];
  const found = known.flatMap((setting) => {
    const value = redisVariable(setting, brokerHost, brokerPort);
    return value === undefined ? [] : [[setting.name, value] as const];
  });
  return { ...Object.fromEntries(found), CELERY_BROKER_URL: brokerUrl(), CELERY_RESULT_BACKEND: brokerUrl(1) };
}

/** Python files of the app's own, as the reading rules keep them. */
function ownSources({ files }: ImageFacts): Map<string, string> {
  return new Map(
    [...files].flatMap(([path, file]) => {
      const text = path.endsWith(".py") ? textOf(file) : undefined;
      return text === undefined ? [] : [[path, text] as const];
    }),
  );
}
