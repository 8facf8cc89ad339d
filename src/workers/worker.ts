import { parentPort } from "node:worker_threads";

import { SheafError } from "../errors.ts";
import { tasks, type Outcome, type TaskInput, type TaskName, type ThreadMessage } from "./tasks.ts";

/** The thread's side of the pool: one task at a time, events and one answer each. */
parentPort?.on("message", (message: { name: TaskName; input: TaskInput<TaskName> }) => {
  void answer(message.name, message.input).then(send);
});

function send(message: ThreadMessage): void {
  parentPort?.postMessage(message);
}

async function answer(name: TaskName, input: TaskInput<TaskName>): Promise<Outcome> {
  try {
    return { ok: true, value: await tasks[name](input as never, (event) => send({ event })) };
  } catch (error) {
    return { ok: false, error: describe(error) };
  }
}

function describe(error: unknown): Extract<Outcome, { ok: false }>["error"] {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, stack } = error;
  if (!(error instanceof SheafError)) return { message, stack };
  return {
    message,
    stack,
    sheaf: { code: error.code, hints: error.hints, details: error.details, exitCode: error.exitCode },
  };
}
