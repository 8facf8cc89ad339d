import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { onTestFinished } from "vitest";

export const repository = path.join(import.meta.dirname, "..", "..");

/** The bundled command line, as it is published. `npm test` builds it. */
export const cli = path.join(repository, "dist", "cli.js");

/** Where commands run that name their project: nothing is found by chance. */
const emptyFolder = path.join(os.tmpdir(), "sheaf-test-empty");
fs.mkdirSync(emptyFolder, { recursive: true });

export interface Outcome {
  /** 128 and the signal's number when a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
  seconds: number;
}

export interface RunOptions {
  cwd?: string;
  /** The store; the shared one unless given. */
  store?: string;
  /** Beside this process's environment; undefined takes one away. */
  env?: Record<string, string | undefined>;
  timeoutMs?: number;
}

/** One process of the command line, under way. */
export interface Started {
  child: ChildProcess;
  /** What it has written so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves when standard error has `text`; rejects when the process ends first. */
  told(text: string | RegExp): Promise<void>;
  ended: Promise<Outcome>;
}

/**
 * The store that all tests share, so that the example's packages are fetched once: SHEAF_TEST_CACHE, or a folder of this
 * checkout and user below the system's temporary one.
 */
export const sharedStore = process.env["SHEAF_TEST_CACHE"] ?? path.join(os.tmpdir(), `sheaf-test-cache-${ownName()}`);

/** Another checkout may be at another commit, and another user can't write here. */
function ownName(): string {
  return createHash("sha256").update(`${repository} ${os.userInfo().uid}`).digest("hex").slice(0, 12);
}

/** Runs the command line to its end. */
export function sheaf(words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return startSheaf(words, options).ended;
}

export function startSheaf(words: readonly string[], options: RunOptions = {}): Started {
  return startProgram([process.execPath, cli, ...words], options);
}

/** Starts a program with the environment that the command line's tests have. */
export function startProgram(words: readonly string[], options: RunOptions = {}): Started {
  const [program = "", ...rest] = words;
  const started = performance.now();
  const child = spawn(program, rest, {
    cwd: options.cwd ?? emptyFolder,
    env: environmentOf(options),
    stdio: ["ignore", "pipe", "pipe"],
    timeout: options.timeoutMs ?? 240_000,
    killSignal: "SIGKILL",
  });
  killWithTest(child);
  const texts = { stdout: "", stderr: "" };
  const listeners = new Set<() => void>();
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      texts[stream] += text;
      for (const listener of listeners) listener();
    });
  }
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) =>
      resolve({
        code: code ?? 128 + (signal ? os.constants.signals[signal] : 0),
        ...texts,
        seconds: (performance.now() - started) / 1000,
      }),
    );
  });
  const has = (text: string | RegExp) =>
    typeof text === "string" ? texts.stderr.includes(text) : text.test(texts.stderr);
  return {
    child,
    get stdout() {
      return texts.stdout;
    },
    get stderr() {
      return texts.stderr;
    },
    ended,
    told: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!has(text)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
        void ended.then(() => (has(text) ? resolve() : reject(new Error(`it ended first:\n${texts.stderr}`))));
      }),
  };
}

/** A test that fails half way leaves nothing running; in a hook there is no test to wait for. */
function killWithTest(child: ChildProcess): void {
  try {
    onTestFinished(() => void child.kill("SIGKILL"));
  } catch {
    // It has its own time limit.
  }
}

/** A folder that goes with the test. */
export function temporaryFolder(prefix = "sheaf-e2e-"): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), prefix));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files below a folder; a string is UTF-8. */
export function writeFiles(folder: string, files: Record<string, string | Uint8Array>): string {
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), content);
  }
  return folder;
}

/** Every file below a folder that has bytes, and every link, as `path` → content. */
export function filesBelow(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .toSorted();
}

/** A test's own copy of a store: its files are links to the same bytes, which no store ever writes to in place. */
export function copyStore(from = sharedStore): string {
  const folder = fs.mkdtempSync(path.join(path.dirname(from), "sheaf-store-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  for (const part of ["blobs", "records"]) {
    for (const file of filesBelow(path.join(from, part))) {
      const target = path.join(folder, part, file);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      fs.linkSync(path.join(from, part, file), target);
    }
  }
  return folder;
}

function environmentOf({ env = {}, store = sharedStore }: RunOptions): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|NODE_OPTIONS|NODE_ENV|FORCE_COLOR|NO_COLOR|SHEAF_(?!TEST)|SOURCE_DATE_EPOCH)/.test(name),
  );
  return { ...Object.fromEntries(own), SHEAF_CACHE_DIR: store, ...env };
}
