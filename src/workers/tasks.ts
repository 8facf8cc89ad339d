import { readLayerTask, type ReadingTasks } from "../contract/facts/layer-task.ts";
import { preparePackageIndex } from "../debian/prepare-index.ts";
import type { SheafEvent } from "../events.ts";
import { ingestBase } from "../ingest/base/ingest-base.ts";
import { ingestBytecode } from "../ingest/bytecode.ts";
import { ingestDeb } from "../ingest/deb.ts";
import { ingestInterpreter } from "../ingest/interpreter.ts";
import type { IngestTasks } from "../ingest/tasks.ts";
import { ingestWheel } from "../ingest/wheel.ts";
import { composeLayerTask, type LayerTasks } from "../layers/tasks.ts";

/** All work that is worth a thread. */
export type Tasks = IngestTasks & LayerTasks & ReadingTasks;

export type TaskName = keyof Tasks;
export type TaskInput<Name extends TaskName> = Parameters<Tasks[Name]>[0];
export type TaskOutput<Name extends TaskName> = Awaited<ReturnType<Tasks[Name]>>;

/** What a thread sends while it works: what happens, then one outcome. */
export type ThreadMessage = { event: SheafEvent } | Outcome;

export type Outcome =
  | { ok: true; value: unknown }
  | {
      ok: false;
      error: {
        message: string;
        stack?: string;
        sheaf?: { code: string; hints: string[]; details: [string, string][]; exitCode: number };
      };
    };

export const tasks: Tasks = {
  bytecode: ingestBytecode,
  wheel: ingestWheel,
  deb: ingestDeb,
  interpreter: ingestInterpreter,
  layer: composeLayerTask,
  layerFacts: readLayerTask,
  base: ingestBase,
  packageIndex: preparePackageIndex,
};
