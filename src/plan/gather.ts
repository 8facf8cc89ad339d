import type { OwnerBytecode } from "../ingest/bytecode.ts";
import { basePackages } from "../debian/base.ts";
import { SheafError } from "../errors.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import {
  type DebOptions,
  type IngestedWheels,
  ingestHostInterpreter,
  ingestWheels,
  type WheelOptions,
} from "../ingest/ingest.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import type { InterpreterFacts } from "../ingest/interpreter.ts";
import type { IngestedWheel } from "../ingest/wheel.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import { interpreterKey } from "../interpreter/collect.ts";
import { pythonLayout } from "../interpreter/layout.ts";
import type { Distribution } from "../resolve/resolution.ts";
import type { GatherRequest, ReasonedDeb } from "./gather-request.ts";
import type { DeviceRequest } from "./gpu/device-options.ts";
import type { DeviceOutcome } from "./gpu/outcome.ts";
import { closeNative } from "./native.ts";
import { startBase } from "./start-early.ts";
import type { PlanServices } from "./services.ts";

/** The Python side of an image, which is compiled while Debian's side is still being fetched. */
export interface InstalledPython {
  layout: PythonLayout;
  /** Undefined when Python comes as Debian packages. */
  interpreter?: InterpreterFacts;
  wheels: IngestedWheel[];
}

/** Every package of an image, fetched and taken apart. */
export interface Gathered extends InstalledPython {
  /** Compiled modules by their owner's name. */
  bytecode: Map<string, OwnerBytecode>;
  /** Packages of the base and what the interpreter needs. */
  baseDebs: ReasonedDeb[];
  /** What the project needs beyond. */
  nativeDebs: ReasonedDeb[];
  /** Libraries that no package has, and who wants them. */
  missing: { soname: string; neededBy: string[] }[];
  /** What was decided about files that several distributions write. */
  collisionNotes: string[];
  /** What became of CUDA libraries. */
  device?: DeviceOutcome;
}

/** Fetches what the store lacks, and adds Debian packages until every shared library is found. */
export async function gather(
  request: GatherRequest,
  services: PlanServices,
  compile: (installed: InstalledPython) => Promise<Map<string, OwnerBytecode>>,
): Promise<Gathered> {
  const { archive, platform, choice, mtime, strip, debianPython, over } = request;
  const isBases = choice.kind === "base";
  const plain = (isBases ? over?.image.facts.python?.layout : debianPython?.layout) ?? pythonLayout(choice.minor);
  const layout = over ? over.image.layoutOver(plain) : plain;
  const debOptions: DebOptions = { ignoreScripts: request.ignoreScripts, mtime };
  const wheelOptions = { layout, strip, mtime, keepFilesOf: request.keepFilesOf, device: request.device };
  const install = (those: readonly Distribution[]) => installWheels(those, wheelOptions, services);
  const { distributions } = request.resolution;
  const hasSources = distributions.some((each) => each.kind === "sdist");
  const wheelsAtWork = install(hasSources ? [] : distributions);
  // Awaited below; a failure before that must not count as unhandled.
  wheelsAtWork.catch(() => {});
  if (!over) startBase({ archive, shell: request.shell, debianPython }, debOptions, services);
  const interpreter =
    debianPython || isBases
      ? undefined
      : await ingestHostInterpreter(choice, { key: interpreterKey(choice, { strip }), strip, mtime }, services);
  const compiledEarly = hasSources
    ? undefined
    : wheelsAtWork.then(({ wheels }) => compile({ layout, interpreter, wheels }));
  compiledEarly?.catch(() => {});
  const links = interpreter?.links ?? [];
  const objects = interpreter?.elf ?? [];
  const wanted = new Map(
    [...(over?.packages ?? basePackages({ shell: request.shell })), ...(debianPython?.packages ?? [])].map((name) => [
      name,
      "base",
    ]),
  );
  const below = over ? { base: over.image } : {};
  const base = await closeNative(
    { archive, platform, objects, links, wanted, present: [], ...below },
    debOptions,
    services,
  );
  if (over && interpreter) refuseUnfit(over.image, { choice, interpreter, missing: base.missing });
  const {
    wheels,
    notes: collisionNotes,
    device,
  } = hasSources
    ? await install(await buildFrom(request, { layout, interpreter, baseDebs: base.debs }, services))
    : await wheelsAtWork;
  const native = await closeNative(
    {
      archive,
      platform,
      objects: [...objects, ...wheels.flatMap(({ facts }) => facts.elf)],
      links,
      wanted: request.packages,
      present: base.debs,
      ...below,
    },
    debOptions,
    services,
  );
  return {
    layout,
    interpreter,
    bytecode: await (compiledEarly ?? compile({ layout, interpreter, wheels })),
    baseDebs: base.debs,
    nativeDebs: native.debs,
    wheels,
    missing: native.missing,
    collisionNotes,
    ...(device ? { device } : {}),
  };
}

/** What there is for GPUs is loaded only where something is to be done to it. */
async function installWheels(
  distributions: readonly Distribution[],
  options: WheelOptions & { device?: DeviceRequest },
  services: PlanServices,
): Promise<IngestedWheels & { device?: DeviceOutcome }> {
  const { device, ...plain } = options;
  if (!device) return ingestWheels(distributions, plain, services);
  const { ingestForDevice } = await import("./gpu/ingest-device.ts");
  return ingestForDevice(distributions, { options: plain, request: device }, services);
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

/** @throws SheafError SHEAF_BASE_PYTHON when an interpreter of this machine can't run over the base */
function refuseUnfit(
  base: BaseImage,
  {
    choice,
    interpreter,
    missing,
  }: { choice: InterpreterChoice; interpreter: InterpreterFacts; missing: Gathered["missing"] },
): void {
  const { reference, facts } = base;
  const [, minor = 0] = facts.glibc ?? [];
  const needed = Number(interpreter.glibcNeeded?.split(".")[1] ?? 0);
  const isCore = (path: string) => /\/(?:python3\.\d+|libpython[^/]*)$/.test(path);
  const lacking = missing.filter(({ neededBy }) => neededBy.some(isCore)).map(({ soname }) => soname);
  if (needed <= minor && lacking.length === 0) return;
  const why =
    needed > minor ? `it needs glibc 2.${needed}, and the base has 2.${minor}` : `the base lacks ${lacking.join(", ")}`;
  throw new SheafError(
    "SHEAF_BASE_PYTHON",
    `the base ${reference} has no Python, and this machine's can't be added: ${why}`,
    {
      details: [["interpreter", `${choice.version}, ${choice.reason}`]],
      hint: ["take a base that has Python, such as python:3.12-slim", "or --base debian, which composes one"],
    },
  );
}
