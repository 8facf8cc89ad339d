import { hostPlatform, parsePlatform, type Platform } from "../platform.ts";
import type { Project, Sourced } from "../project/project.ts";

/** What the command line, or a caller of the library, asks for. */
export interface PlanOptions {
  /** The repository; the working directory unless given. */
  directory: string;
  /** Only these images. */
  images?: string[];
  /** What takes one image only, as in `a tag`: of several, the only API is meant. */
  one?: string;
  /** `module:attribute` or `module:factory()` */
  app?: string;
  /** `3.12` */
  python?: string;
  platform?: string;
  /** Debian suite of the base. */
  suite?: string;
  /** An OCI layout or archive to build on, relative to the working directory; `debian` composes a base. */
  base?: string;
  /** Refuse distributions that come as source only. */
  noBuild?: boolean;
  /** Also tell how pip or uv would install the same (`ImagePlan.install`). */
  installation?: boolean;
  /** As a Dockerfile's ARGs: APP_ENV. */
  buildArguments?: ReadonlyMap<string, string>;
}

/** The platform that is asked for, or the first of the configuration, or this machine's. */
export function choosePlatform(flag: string | undefined, project: Project): Platform {
  const told = flag ?? project.config.platforms?.[0];
  return told ? parsePlatform(told) : (hostPlatform() ?? { os: "linux", architecture: "amd64" });
}

/** A value as a Dockerfile's ARG would get it. */
export function buildArgument({ buildArguments }: PlanOptions, name: string): Sourced<string> | undefined {
  const value = buildArguments?.get(name);
  return value === undefined ? undefined : { value, source: `--build-arg ${name}` };
}
