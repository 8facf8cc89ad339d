import type { Engine } from "../../engine/engine.ts";
import { SheafError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import type { Image } from "../../oci/image.ts";
import { hostPlatform } from "../../platform.ts";
import type { Store } from "../../store/store.ts";
import type { Contract } from "../contract.ts";
import type { ImageFacts } from "../facts/image-facts.ts";
import { brokerSourceOf } from "./broker-source.ts";
import type { Runtime } from "./runtime.ts";
import { Session, type SessionOptions } from "./session.ts";

export interface OpenSessionOptions extends Pick<SessionOptions, "takenByOthers"> {
  image: Image;
  contract: Contract;
  facts: ImageFacts;
  store: Store;
  /** Docker, Podman or none where nothing is said: the first that is there. */
  engine?: Runtime["kind"];
  emit: Emit;
  signal: AbortSignal;
  /** Makes an image of Redis where this machine has none to run beside a worker; the reason where that can't be. */
  composeBroker?: () => Promise<Image | string>;
}

/**
 * What runs an image's checks, or the reason why nothing does. Nothing is started so far.
 * @throws SheafError SHEAF_NO_ENGINE when the engine that was asked for does not answer
 */
export async function openSession(options: OpenSessionOptions): Promise<Session | string> {
  const { image, contract, facts, signal, takenByOthers } = options;
  const { os, architecture } = image.config;
  const host = hostPlatform();
  if (host && (host.os !== os || host.architecture !== architecture))
    return `the image is for ${os}/${architecture}, and this machine is ${host.os}/${host.architecture}`;
  const runtime = await chooseRuntime(options);
  if (typeof runtime === "string") return runtime;
  const { composeBroker = () => Promise.resolve("this machine has no redis-server to run beside it") } = options;
  const broker = brokerSourceOf({ image, facts, contract, composeBroker });
  return new Session({
    image,
    contract,
    runtime,
    signal,
    ...(broker === undefined ? {} : { broker }),
    ...(takenByOthers ? { takenByOthers } : {}),
  });
}

async function chooseRuntime({ image, store, engine, emit }: OpenSessionOptions): Promise<Runtime | string> {
  const { findEngine } = await import("../../engine/find.ts");
  for (const kind of ["docker", "podman"] as const) {
    if (engine !== undefined && engine !== kind) continue;
    const found: Engine | undefined = await findEngine(kind);
    if (found) return (await import("./engine-runtime.ts")).engineRuntime(found, image, emit);
    if (engine === kind) {
      throw new SheafError("SHEAF_NO_ENGINE", `${kind} does not answer on this machine`, {
        hint: ["start it, or name it in DOCKER_HOST", "--engine none runs the image in namespaces of this user"],
      });
    }
  }
  if (process.platform !== "linux") return "no engine answers, and without one an image runs on Linux only";
  return (await import("./daemonless-runtime.ts")).daemonlessRuntime(image, store, emit);
}
