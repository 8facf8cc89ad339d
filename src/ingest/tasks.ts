import type { IndexTask } from "../debian/prepare-index.ts";
import type { Emit } from "../events.ts";
import type { Digest } from "../store/store.ts";
import type { NamedBase } from "./base/facts.ts";
import type { BaseTask } from "./base/ingest-base.ts";
import type { BytecodeTask, OwnerBytecode } from "./bytecode.ts";
import type { DebFacts, DebTask } from "./deb.ts";
import type { InterpreterFacts, InterpreterTask } from "./interpreter.ts";
import type { WheelFacts, WheelTask } from "./wheel.ts";

/** Work on one input that is worth a thread. Inputs and outputs are plain data. */
export interface IngestTasks {
  bytecode: (task: BytecodeTask) => Promise<OwnerBytecode>;
  /** @param emit is told of each library that takes seconds */
  wheel: (task: WheelTask, emit?: Emit) => Promise<WheelFacts>;
  deb: (task: DebTask) => Promise<DebFacts>;
  interpreter: (task: InterpreterTask) => Promise<InterpreterFacts>;
  base: (task: BaseTask) => Promise<NamedBase>;
  packageIndex: (task: IndexTask) => Promise<Digest>;
}
