import * as net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import type { RunningCheck } from "./running-check.ts";
import { fail, notApplicable } from "../finding.ts";
import type { Container } from "./container.ts";
import type { Answer, NoAnswer } from "./http.ts";
import { processesOf } from "./processes.ts";
import { judgeStop, stopOf } from "./stop.ts";
import { secondsText } from "./texts.ts";
import { guarded, withFresh } from "./with-container.ts";

const sources = [
  "Kubernetes: Termination of Pods",
  "Dockerfile reference: STOPSIGNAL, ENTRYPOINT (exec form)",
  "signal(7); pid_namespaces(7): PID 1 gets no signal that it has no handler for",
];

export const runtimeSignalIdle: RunningCheck = {
  id: "runtime.signal-idle",
  title: "it stops on its stop signal when it has nothing to do",
  holds:
    "The stop signal ends the container within the contract's `stop` seconds, before an engine would kill it, with an exit code of `exit-codes`.",
  why: "A server that does not stop is killed after ten seconds: each rollout takes that much longer, and what is not written is lost.",
  sources,
  run: (context) =>
    withFresh(context, async (container) => {
      return judgeStop(await stopOf(container, context.contract), container, context.contract);
    }),
};

export const runtimeSignalInflight: RunningCheck = {
  id: "runtime.signal-inflight",
  title: "it ends what it has begun to answer before it stops",
  holds:
    "While clients ask without a pause, one of them over a connection that it keeps open, the stop signal comes: no answer is cut off or turns into an error, nobody's open connection holds the server up, and the container ends within `stop` seconds with an exit code of `exit-codes`. Where the contract has a `slow-url`, a request to it that is under way is answered.",
  why: "Every rollout stops servers under load; what is cut off then is an error that a user sees.",
  sources,
  run: (context) =>
    withFresh(context, async (container, session) => {
      const { contract } = context;
      const { path } = session.target;
      if (path === undefined || container.port === undefined) return notApplicable("it answers no HTTP");
      const load = underLoad(container, path);
      const idle = await keptOpen(container.port, path);
      await Promise.race([load.flows, sleep(5000)]);
      const timeoutMs = (contract.stop + 5) * 1000;
      const slow = contract.slowUrl === undefined ? undefined : container.get(contract.slowUrl, timeoutMs);
      let answered = false;
      void slow?.then(() => (answered = true));
      await sleep(300);
      const early = answered;
      const end = await stopOf(container, contract);
      idle.destroy();
      const cut = (await load.stop()).filter((answer) => isCut(answer));
      const last = await slow;
      const judged = judgeStop(end, container, contract);
      if (judged.verdict === "fail") return judged;
      const hint =
        "let the server drain on the signal: exec form, uvicorn's or gunicorn's own handling, and a graceful timeout longer than the longest answer";
      if (last && ("problem" in last || last.status >= 500)) {
        return fail(`a request in flight was cut off after ${secondsText(end.seconds)}`, {
          evidence: [`${contract.slowUrl}: ${"problem" in last ? last.problem : `status ${last.status}`}`],
          hint,
        });
      }
      if (cut.length > 0) {
        const evidence = cut.map((answer) => ("problem" in answer ? answer.problem : `status ${answer.status}`));
        return fail(`${cut.length} answers were cut off`, { evidence: [...new Set(evidence)].slice(0, 5), hint });
      }
      const more = last
        ? early
          ? "; the slow URL answers too fast to be in flight"
          : ", the slow request was answered"
        : "";
      return { ...judged, measured: `${judged.measured}${more}` };
    }),
};

/** A connection that nobody asks anything over, after its first answer. */
async function keptOpen(port: number, path: string): Promise<net.Socket> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  socket.on("error", () => undefined);
  const settled = new Promise<void>((resolve) => socket.once("data", () => resolve()).once("close", () => resolve()));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await Promise.race([settled, sleep(2000)]);
  return socket;
}

type Got = Answer | NoAnswer;

/** Clients that ask one time after the other, until `stop`; `flows` settles with the first answer. */
function underLoad(container: Container, path: string): { flows: Promise<void>; stop(): Promise<Got[]> } {
  const over = new AbortController();
  let flow = (): void => undefined;
  const flows = new Promise<void>((resolve) => (flow = resolve));
  const client = async (): Promise<Got[]> => {
    const answers: Got[] = [];
    while (!over.signal.aborted && container.exitCode === undefined) {
      const answer = await container.get(path, 5000);
      answers.push(answer);
      flow();
      // Once it takes no more connections, there is no hurry.
      await sleep("problem" in answer ? 50 : 1);
    }
    return answers;
  };
  const clients = Array.from({ length: 4 }, client);
  return {
    flows,
    stop: async () => {
      over.abort();
      return (await Promise.all(clients)).flat();
    },
  };
}

/** What never got through to the server is not the server's to answer. */
function isCut(answer: Got): boolean {
  return "problem" in answer ? answer.begun : answer.status >= 500;
}

export const runtimeSignalStart: RunningCheck = {
  id: "runtime.signal-start",
  title: "it stops on its stop signal while it starts",
  holds: "The stop signal, sent as soon as the command has started, ends the container within `stop` seconds.",
  why: "PID 1 gets no signal that it has no handler for, and Python has none until the server sets it: a rollout that is taken back in the first seconds waits until the container is killed.",
  sources: [...sources, "measured: uvicorn as PID 1 ignores SIGTERM while it imports; under tini it ends at once"],
  run: (context) =>
    guarded(context, async (session) => {
      await session.shared();
      const container = await session.start();
      try {
        // An init needs a moment to start what it is there for.
        for (let tries = 0; tries < 20 && (processesOf(container.running.pid)?.length ?? 2) < 2; tries++)
          await sleep(10);
        const end = await stopOf(container, context.contract);
        // What has not begun has nothing to end well: only that it ends counts.
        const exitCodes = [end.code === 137 ? 143 : end.code];
        return judgeStop(end, container, { stop: context.contract.stop, exitCodes });
      } finally {
        await container.end();
      }
    }),
};
