import { createFetcher } from "../fetch/create-fetcher.ts";
import type { Fetcher } from "../fetch/fetcher.ts";
import type { Emit } from "../events.ts";
import { SheafError } from "../errors.ts";
import { jsonProgress, plainProgress, type Progress, TerminalProgress } from "../report/progress.ts";
import { styleFor } from "../report/text.ts";
import { openStore, type Store } from "../store/store.ts";
import { removeLeftovers } from "../store/leftovers.ts";
import { defaultStoreRoot } from "../store/store-root.ts";
import { madeAnew } from "../store/made-anew.ts";
import { createWorkerPool, type WorkerPool } from "../workers/pool.ts";
import { tasks } from "../workers/tasks.ts";

/** What commands work with. Each part is made when it is first asked for. */
export interface Context {
  readonly store: Store;
  readonly fetcher: Fetcher;
  readonly pool: WorkerPool;
  readonly emit: Emit;
  readonly offline: boolean;
  /** Look at indexes and unlocked inputs anew. */
  readonly refresh: boolean;
  readonly directory: string;
  /** Takes the live lines off the terminal, for output that follows. */
  stopProgress(): void;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** Runs when the command is over, however it ends. */
  onClose(action: () => Promise<void> | void): void;
}

export interface ContextOptions {
  cacheDir?: string;
  offline?: boolean;
  /** False makes every layer anew. */
  cache?: boolean;
  refresh?: boolean;
  progress?: string;
  quiet?: boolean;
  signal: AbortSignal;
}

export class CommandContext implements Context {
  readonly emit: Emit;
  readonly offline: boolean;
  readonly refresh: boolean;
  readonly signal: AbortSignal;
  readonly directory = process.cwd();
  readonly #options: ContextOptions;
  readonly #progress: Progress | undefined;
  readonly #closing: (() => Promise<void> | void)[] = [];
  #store: Store | undefined;
  #fetcher: Fetcher | undefined;
  #pool: WorkerPool | undefined;

  constructor(options: ContextOptions) {
    this.#options = options;
    this.signal = options.signal;
    this.offline = options.offline ?? false;
    this.refresh = options.refresh ?? false;
    this.#progress = options.quiet ? undefined : createProgress(options.progress ?? "auto");
    this.emit = this.#progress?.emit ?? (() => {});
  }

  get store(): Store {
    if (this.#store) return this.#store;
    const store = openStore(this.#options.cacheDir ?? defaultStoreRoot());
    return (this.#store = this.#options.cache === false ? madeAnew(store) : store);
  }

  get fetcher(): Fetcher {
    return (this.#fetcher ??= createFetcher({ store: this.store, emit: this.emit, offline: this.offline }));
  }

  get pool(): WorkerPool {
    return (this.#pool ??= createWorkerPool({ tasks }));
  }

  onClose(action: () => Promise<void> | void): void {
    this.#closing.push(action);
  }

  /** Takes the live lines off the terminal, for output that follows. */
  stopProgress(): void {
    this.#progress?.stop();
  }

  async close(): Promise<void> {
    this.stopProgress();
    for (const action of this.#closing.splice(0).toReversed()) await action();
    await this.#pool?.close();
    await this.#fetcher?.close();
    if (this.#store && this.signal.aborted) removeLeftovers(this.#store);
    this.#store?.dispose();
  }
}

function createProgress(kind: string): Progress {
  const stream = process.stderr;
  if (kind === "json") return jsonProgress(stream);
  if (kind === "plain" || (kind === "auto" && !stream.isTTY)) return plainProgress(stream);
  if (kind === "auto" || kind === "tty") return new TerminalProgress(stream, styleFor(stream));
  throw new SheafError("SHEAF_OPTION", `--progress can't be ${JSON.stringify(kind)}`, {
    hint: "use auto, plain or json",
  });
}
