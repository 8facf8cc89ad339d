import type { DebianArchive } from "../debian/archive.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import type { IngestedDeb } from "../ingest/ingest.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";
import type { Platform } from "../platform.ts";
import type { Resolution } from "../resolve/resolution.ts";
import type { DeviceRequest } from "./gpu/device-options.ts";

/** All that decides an image's environment but the bytecode. */
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
  /** What is done to CUDA libraries; absent: nothing. */
  device?: DeviceRequest;
  /** The image that all of it goes over, and packages that it needs for that; none when the base is composed. */
  over?: { image: BaseImage; packages: string[] };
}

/** A Debian package of the image, and why it is there. */
export type ReasonedDeb = IngestedDeb & { reason: string };
