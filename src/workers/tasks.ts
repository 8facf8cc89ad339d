import type { NamedBase } from "../ingest/base/facts.ts";
import { type BaseTask, ingestBase } from "../ingest/base/ingest-base.ts";
import { type DebFacts, type DebTask, ingestDeb } from "../ingest/deb.ts";
import { ingestInterpreter, type InterpreterFacts, type InterpreterTask } from "../ingest/interpreter.ts";
import { ingestWheel, type WheelFacts, type WheelTask } from "../ingest/wheel.ts";
import { composeLayerTask, type ComposeTask } from "../assemble/compose-task.ts";
import type { LayerRecord } from "../oci/compose-layer.ts";

/** Work that is worth a thread. Inputs and outputs are plain data. */
export interface Tasks {
  wheel(input: WheelTask): Promise<WheelFacts>;
  deb(input: DebTask): Promise<DebFacts>;
  interpreter(input: InterpreterTask): Promise<InterpreterFacts>;
  layer(input: ComposeTask): Promise<LayerRecord>;
  base(input: BaseTask): Promise<NamedBase>;
}

export type TaskName = keyof Tasks;
export type TaskInput<Name extends TaskName> = Parameters<Tasks[Name]>[0];
export type TaskOutput<Name extends TaskName> = Awaited<ReturnType<Tasks[Name]>>;

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
  wheel: ingestWheel,
  deb: ingestDeb,
  interpreter: ingestInterpreter,
  layer: composeLayerTask,
  base: ingestBase,
};
