import { posix } from "node:path";
import type { DockerfileEvidence, EvidenceNote, ServiceEvidence } from "../project.ts";
import type { ParseRecords } from "../parse-records.ts";
import type { Repository } from "../repository.ts";
import type { ReadCommand } from "./command.ts";
import { isComposeFile, readCompose } from "./compose.ts";
import { readDockerfile, type DockerfileReading } from "./dockerfile-evidence.ts";
import { readProcfile } from "./procfile.ts";
import { isWrittenBySheaf } from "./written-by-sheaf.ts";
import { byCodeUnit } from "../../order.ts";

export interface Evidence {
  dockerfiles: DockerfileEvidence[];
  services: ServiceEvidence[];
  notes: EvidenceNote[];
}

const MAX_DOCKERFILES = 40;

/** Reads what the repository says of its own containers and processes: compose files, Dockerfiles and Procfiles. */
export async function readEvidence(repository: Repository, records?: ParseRecords): Promise<Evidence> {
  const read = (path: string): string | undefined => repository.text(path);
  const paths = repository.entries
    .filter(({ type }) => type === "file")
    .map(({ path }) => path)
    .filter((path) => path.split("/").length <= 4 && !/(?:^|\/)(?:tests?|examples?|\.devcontainer)\//.test(path));
  const isPersons = (path: string): boolean => !isWrittenBySheaf(read(path) ?? "");
  const files = paths.filter(isDockerfile).filter(isPersons).toSorted(byLikelihood).slice(0, MAX_DOCKERFILES);
  const readings = new Map<string, DockerfileReading>();
  for (const file of files) {
    const text = read(file);
    if (text !== undefined) readings.set(file, readDockerfile({ text, file, read, context: contextOf(file) }));
  }
  const composed = await readCompose({
    files: paths.filter(isComposeFile).filter(isPersons),
    read,
    records,
    dockerfile: ({ file, context, target, args }) => {
      const text = read(file);
      if (text === undefined) return undefined;
      const reading = readDockerfile({
        text,
        file,
        read,
        context,
        buildArgs: args,
        ...(target === undefined ? {} : { target }),
      });
      // How compose builds it says more than the file alone.
      if (readings.has(file)) readings.set(file, reading);
      return reading;
    },
  });
  const services = [...composed.services];
  for (const path of paths) {
    if (posix.basename(path) !== "Procfile") continue;
    services.push(...readProcfile(read(path) ?? "", path, { script: (script) => scriptOf(script, read) }));
  }
  const all = [...readings.values()].filter(isPythons);
  const production = all.filter(({ file }) => rankOf(file) < DEVELOPMENT);
  const python = production.length > 0 ? production : all;
  for (const reading of python) {
    const process = reading.process;
    const composedOfIt = services.filter((service) => service.dockerfile === reading.file);
    if (!process || composedOfIt.some(({ role }) => role === process.role || process.role === "other")) continue;
    services.push(serviceOf(reading, process));
  }
  return { dockerfiles: python.map(evidenceOf), services, notes: composed.notes };
}

/** Whether a Dockerfile is about Python at all, and not about a frontend or a proxy. */
function isPythons({ pythonVersion, installs, process, baseImage }: DockerfileReading): boolean {
  return (
    pythonVersion !== undefined ||
    installs.length > 0 ||
    (process !== undefined && process.role !== "other") ||
    /python|fastapi|conda/i.test(baseImage?.value ?? "")
  );
}

function isDockerfile(path: string): boolean {
  const name = posix.basename(path);
  return (
    /^(?:Dockerfile|Containerfile)(?:[.-][\w.-]+)?$|^[\w.-]+\.(?:Dockerfile|dockerfile)$/i.test(name) &&
    !name.endsWith(".dockerignore")
  );
}

/** Production's file first, development's last, then the shallower one. */
function byLikelihood(a: string, b: string): number {
  return rankOf(a) - rankOf(b) || a.split("/").length - b.split("/").length || byCodeUnit(a, b);
}

function rankOf(path: string): number {
  if (/prod/i.test(path)) return 0;
  return /dev|test|local|ci\b|debug/i.test(path) ? DEVELOPMENT : 1;
}

const DEVELOPMENT = 2;

/** Dockerfiles in a folder for containers are built from the folder above. */
function contextOf(file: string): string {
  const folder = posix.dirname(file);
  if (folder === ".") return "";
  return /^(?:\.?docker|containers?|build|deploy(?:ment)?|infra|ci|compose)(?:\/|$)/i.test(folder) ? "" : folder;
}

function scriptOf(
  path: string,
  read: (path: string) => string | undefined,
): { text: string; file: string } | undefined {
  const file = path.replace(/^\.?\//, "");
  if (!/[/.]/.test(path) || file.endsWith(".py")) return undefined;
  const text = read(file);
  return text === undefined || text.includes("\0") ? undefined : { text, file };
}

function serviceOf(reading: DockerfileReading, process: ReadCommand): ServiceEvidence {
  const service: ServiceEvidence = {
    name: "Dockerfile",
    role: process.role,
    command: process.command,
    env: {},
    ports: reading.ports,
    dockerfile: reading.file,
  };
  if (reading.workdir) service.workdir = reading.workdir;
  if (reading.health) service.health = reading.health;
  if (process.queues.length > 0) service.queues = process.queues;
  if (process.notes.length > 0) service.notes = process.notes;
  return service;
}

function evidenceOf(reading: DockerfileReading): DockerfileEvidence {
  const { process: _process, entrypoint: _entrypoint, cmd: _cmd, script: _script, ...evidence } = reading;
  return evidence;
}
