import { type InputDigests, Inputs } from "./inputs.ts";
import type { ResolveRequest, ResolveServices } from "./request.ts";
import type { Resolution } from "./resolution.ts";

/** What the store keeps of a resolution. URLs in it carry no credentials. */
interface ResolutionRecord {
  inputs: InputDigests;
  resolution: Resolution;
  /** Whether URLs need credentials back, which the machine's configuration has. */
  credentials: boolean;
}

/** Part of the key: a change in what is read or how it is chosen makes old records void. */
const recordVersion = 1;

/**
 * The exact distributions of a project for one target, from its lock, its requirements, or uv. The same inputs give the
 * same answer from one small record; nothing heavy is loaded for that.
 * @throws SheafError SHEAF_LOCK_STALE, SHEAF_LOCKS, SHEAF_NO_WHEEL, SHEAF_PYTHON, SHEAF_HASH_MISMATCH, SHEAF_NOT_FOUND,
 *   SHEAF_UNKNOWN_EXTRA, SHEAF_UNKNOWN_GROUP, SHEAF_REQUIREMENTS, SHEAF_OFFLINE, SHEAF_UV and others that name what to mend
 */
export async function resolveDistributions(request: ResolveRequest, services: ResolveServices): Promise<Resolution> {
  const inputs = new Inputs(request.project.root);
  const key = requestKey(request);
  const known = request.refresh ? undefined : services.store.readRecord<ResolutionRecord>("resolution", key);
  const current = known && inputs.unchanged(known.inputs) ? known : undefined;
  if (current && !current.credentials) return current.resolution;

  const { addCredentials, resolveAnew, withoutCredentials } = await import("./resolve-anew.ts");
  if (current) return addCredentials(current.resolution, request, inputs);
  const resolution = await resolveAnew(request, services, inputs);
  const bare = withoutCredentials(resolution);
  services.store.writeRecord("resolution", key, {
    inputs: inputs.digests(),
    resolution: bare.resolution,
    credentials: bare.removed,
  } satisfies ResolutionRecord);
  return resolution;
}

/** Everything that decides the result besides the bytes of the files and variables that the record lists. */
function requestKey(request: ResolveRequest): string {
  const { project, target } = request;
  return JSON.stringify([
    recordVersion,
    project.root,
    project.directory,
    project.name.value,
    project.requiresPython?.value,
    project.dependencyFiles.map((file) => [file.kind, file.file]),
    project.dockerfiles.flatMap((dockerfile) => dockerfile.installs.map((install) => install.value)),
    [target.platform.architecture, target.python, target.glibc],
    request.extras.toSorted(),
    request.groups.toSorted(),
    request.requirements ?? [],
    request.noBuild ?? false,
    ...(request.cpuOnly ? ["cpu"] : []),
  ]);
}
