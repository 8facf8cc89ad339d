import { basePackages } from "../debian/base.ts";
import type { DebianArchive } from "../debian/archive.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import {
  type DebOptions,
  type IngestedDeb,
  ingestHostInterpreter,
  ingestWheels,
  type IngestedWheel,
} from "../ingest/ingest.ts";
import type { InterpreterFacts } from "../ingest/interpreter.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import { interpreterKey } from "../interpreter/collect.ts";
import { pythonLayout } from "../interpreter/layout.ts";
import type { Platform } from "../platform.ts";
import type { Distribution, Resolution } from "../resolve/resolution.ts";
import { closeNative } from "./native.ts";
import type { PlanServices } from "./services.ts";

export interface GatherRequest {
  platform: Platform;
  archive: DebianArchive;
  choice: InterpreterChoice;
  /** Debian's interpreter: its packages and where it keeps its parts. */
  debianPython?: { packages: string[]; layout: PythonLayout };
  resolution: Resolution;
  /** Debian packages asked for by name, with who asks. */
  packages: ReadonlyMap<string, string>;
  shell: boolean;
  strip: boolean;
  ignoreScripts: string[];
  /** Distributions whose files win over others'. */
  keepFilesOf: string[];
  mtime: number;
}

/** A Debian package of the image, and why it is there. */
export type ReasonedDeb = IngestedDeb & { reason: string };

/** Every package of an image, fetched and taken apart. */
export interface Gathered {
  layout: PythonLayout;
  /** Undefined when Python comes as Debian packages. */
  interpreter?: InterpreterFacts;
  /** Packages of the base and what the interpreter needs. */
  baseDebs: ReasonedDeb[];
  /** What the project needs beyond. */
  nativeDebs: ReasonedDeb[];
  wheels: IngestedWheel[];
  /** Libraries that no package has, and who wants them. */
  missing: { soname: string; neededBy: string[] }[];
  /** What was decided about files that several distributions write. */
  collisionNotes: string[];
}

/** Fetches what the store lacks, and adds Debian packages until every shared library is found. */
export async function gather(request: GatherRequest, services: PlanServices): Promise<Gathered> {
  const { archive, platform, choice, mtime, strip, debianPython } = request;
  const layout = debianPython?.layout ?? pythonLayout(choice.minor);
  const debOptions: DebOptions = { ignoreScripts: request.ignoreScripts, mtime };
  const wheelOptions = { layout, strip, mtime, keepFilesOf: request.keepFilesOf };
  const { distributions } = request.resolution;
  const hasSources = distributions.some((each) => each.kind === "sdist");
  const wheelsAtWork = ingestWheels(hasSources ? [] : distributions, wheelOptions, services);
  // Awaited below; a failure before that must not count as unhandled.
  wheelsAtWork.catch(() => {});
  prefetch(request, services);
  const interpreter = debianPython
    ? undefined
    : await ingestHostInterpreter(choice, { key: interpreterKey(choice, { strip }), strip, mtime }, services);
  const links = interpreter?.links ?? [];
  const objects = interpreter?.elf ?? [];
  const wanted = new Map(
    [...basePackages({ shell: request.shell }), ...(debianPython?.packages ?? [])].map((name) => [name, "base"]),
  );
  const base = await closeNative({ archive, platform, objects, links, wanted, present: [] }, debOptions, services);
  const { wheels, notes: collisionNotes } = hasSources
    ? await ingestWheels(
        await buildFrom(request, { layout, interpreter, baseDebs: base.debs }, services),
        wheelOptions,
        services,
      )
    : await wheelsAtWork;
  const native = await closeNative(
    {
      archive,
      platform,
      objects: [...objects, ...wheels.flatMap(({ facts }) => facts.elf)],
      links,
      wanted: request.packages,
      present: base.debs,
    },
    debOptions,
    services,
  );
  return {
    layout,
    interpreter,
    baseDebs: base.debs,
    nativeDebs: native.debs,
    wheels,
    missing: native.missing,
    collisionNotes,
  };
}

/** The base's packages are known before the interpreter tells which libraries it needs: they are fetched meanwhile. */
function prefetch({ archive, shell, debianPython }: GatherRequest, { offline }: PlanServices): void {
  if (offline) return;
  const names = [...basePackages({ shell }), ...(debianPython?.packages ?? [])].toSorted();
  for (const pkg of archive.resolve(names)) archive.fetch(pkg).catch(() => {});
}

/** Sdists are built only where there are some: their code is loaded only then. */
async function buildFrom(
  request: GatherRequest,
  parts: { layout: PythonLayout; interpreter: InterpreterFacts | undefined; baseDebs: ReasonedDeb[] },
  services: PlanServices,
): Promise<Distribution[]> {
  const { buildSdists } = await import("./build-sdists.ts");
  return buildSdists({ gather: request, ...parts }, services);
}
