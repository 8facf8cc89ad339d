import * as fs from "node:fs";

import type { Store } from "../store/store.ts";
import { boundedText } from "./bounded-output.ts";
import type { ExecResult } from "./exec.ts";
import { resolveInImage } from "./image-path.ts";
import { startInNamespaces } from "./namespaces.ts";
import { prepareRootFileSystem, type RootFileSystem } from "./rootfs.ts";
import type { UnpackableLayer } from "./rootfs-layer.ts";

export interface SandboxOptions {
  store: Store;
  /** A folder of this machine, which is only read, or the layers of an image. */
  rootfs: string | readonly UnpackableLayer[];
  /** Looked up in the root by `env`'s PATH. */
  command: string[];
  /** Folders and files of this machine. What is bound for writing is all that outlives the command. */
  binds: { source: string; target: string; readOnly?: boolean }[];
  /** Absolute path in the root; made when it is not there. */
  workdir: string;
  /** All that the command sees of an environment. */
  env: Record<string, string>;
  timeoutMs: number;
  /** Address space of each process, bytes. */
  memory?: number;
}

/** Nobody's: appears in no passwd, owns nothing outside of the sandbox. */
const throwAway = { uid: 20_001, gid: 20_001 };

/**
 * Runs one command that is not trusted, such as the build of an sdist: no network, no capabilities, a user of its own, nothing of this machine
 * in sight but the root file system and what is bound, writes kept in memory. At most a megabyte of each output is kept.
 * The code is 124 when the time was up.
 * @throws SheafError SHEAF_NAMESPACES, SHEAF_LAYER
 */
export async function runInSandbox(options: SandboxOptions): Promise<ExecResult> {
  const rootfs = await rootFileSystemOf(options);
  try {
    return await runIn(rootfs, options);
  } finally {
    if (typeof options.rootfs === "string") fs.rmSync(rootfs.mountPoint, { recursive: true, force: true });
  }
}

async function runIn(rootfs: RootFileSystem, options: SandboxOptions): Promise<ExecResult> {
  const contained = await startInNamespaces({
    rootfs,
    user: throwAway,
    command: options.command,
    environment: options.env,
    workdir: resolveInImage(rootfs.root, options.workdir),
    network: false,
    readOnly: false,
    mounts: options.binds.map(({ source, target, readOnly }) => ({
      source,
      target: resolveInImage(rootfs.root, target),
      readOnly: readOnly ?? false,
    })),
    memory: options.memory,
  });
  const stdout = boundedText();
  const stderr = boundedText();
  contained.stdout.on("data", stdout.add);
  contained.stderr.on("data", stderr.add);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    contained.kill("SIGKILL");
  }, options.timeoutMs);
  const code = await contained.exited;
  clearTimeout(timer);
  return { code: timedOut ? 124 : code, stdout: stdout.text(), stderr: stderr.text() };
}

async function rootFileSystemOf({ store, rootfs }: SandboxOptions): Promise<RootFileSystem> {
  if (typeof rootfs !== "string") return await prepareRootFileSystem(store, rootfs, throwAway);
  return { root: rootfs, mountPoint: store.makeTemporary("sandbox"), folders: "/dev/null" };
}
