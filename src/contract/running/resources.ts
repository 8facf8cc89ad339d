import { setTimeout as sleep } from "node:timers/promises";

import { formatBytes } from "../../units.ts";
import { fail, notApplicable, notRun, pass, warn } from "../finding.ts";
import { pythonIn } from "./image-programs.ts";
import { isLoopback, listenersOf, memoryOf, processesOf } from "./processes.ts";
import type { RunningCheck } from "./running-check.ts";
import { DidNotStart } from "./session.ts";
import { guarded, whenRunning } from "./with-container.ts";

export const runtimeMemory: RunningCheck = {
  id: "runtime.memory",
  title: "it rests within its memory",
  holds:
    "After its first answers, the processes of the container have no more memory than the contract's `memory`: the sum of their shares (Pss), or of what is resident where the kernel does not tell shares. Without a promise the figure is told.",
  why: "A limit below what it needs at rest ends it by the OOM killer, under load at first; one far above is paid for and never used.",
  sources: ["proc_pid_smaps(5): Pss", "Kubernetes: Resource Management for Pods and Containers"],
  run: (context) =>
    whenRunning(context, async (container) => {
      const { memory } = context.contract;
      const processes = processesOf(container.running.pid);
      if (!processes) return notRun("the container's processes can't be seen from here");
      const measured = processes.reduce((sum, each) => sum + memoryOf(each), 0);
      const evidence = processes.map((each) => `PID ${each.innerPid} ${each.name}: ${formatBytes(memoryOf(each))}`);
      const figure = { measured, ...(memory === undefined ? {} : { limit: memory }), unit: "bytes" as const };
      const limit = memory === undefined ? {} : { limit: formatBytes(memory) };
      if (memory === undefined || measured <= memory)
        return pass(`${formatBytes(measured)} at rest`, { ...limit, evidence, figure });
      return fail(`it has ${formatBytes(measured)} at rest`, {
        ...limit,
        evidence,
        figure,
        hint: "fewer workers, or imports and models that are loaded when they are needed",
      });
    }),
};

export const runtimePort: RunningCheck = {
  id: "runtime.port",
  title: "its port can be reached from outside",
  holds: "Something listens on the image's port, on 0.0.0.0 or :: and not on loopback alone.",
  why: "A server on 127.0.0.1 answers its own probe in the container and nobody else: healthy, and of no use.",
  sources: ["uvicorn: --host, 127.0.0.1 by default", "proc_pid_net(5): tcp"],
  run: (context) =>
    guarded(context, async (session) => {
      const { port } = session.target;
      if (port === undefined) return notApplicable("it serves no port");
      const hint = "let it listen on every address: --host 0.0.0.0, --bind 0.0.0.0:PORT";
      let container;
      try {
        container = await session.shared();
      } catch (error) {
        if (!(error instanceof DidNotStart) || !error.loopback) throw error;
        return fail(error.message, { limit: `0.0.0.0:${port}`, hint });
      }
      const listeners = listenersOf(container.running.pid);
      if (!listeners) return notRun("the container's sockets can't be seen from here");
      const found = listeners.get(port) ?? [];
      const evidence = [...listeners].map(([each, addresses]) => `port ${each}: ${addresses.join(", ")}`);
      if (found.length === 0) {
        return fail(`nothing listens on port ${port}`, {
          evidence,
          hint: "EXPOSE and the contract's ports name the port that the server is told to listen on",
        });
      }
      if (isLoopback(found))
        return fail(`it listens on ${found.join(" and ")}:${port} alone`, { limit: `0.0.0.0:${port}`, evidence, hint });
      return pass(`port ${port} on ${found.join(" and ")}`);
    }),
};

const isBuffered = "import sys\nsys.exit(0 if sys.stdout.write_through else 9)";

export const runtimeLogs: RunningCheck = {
  id: "runtime.logs",
  title: "logs go to stdout and stderr at once",
  holds:
    "By its first answers the image has printed something, and its Python, with the container's variables and the command's own options, writes each line through instead of collecting 8 KiB.",
  why: "Engines and platforms read logs there and nowhere else. What is in a buffer when a process is killed is lost: the lines that say why.",
  sources: ["Python: -u and PYTHONUNBUFFERED", "The Twelve-Factor App: XI. Logs"],
  run: (context) =>
    whenRunning(context, async (container, session) => {
      const config = context.image.config.config ?? {};
      const python = pythonIn(context.facts, config);
      const words = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
      const told = words.some((word) => /^-[A-Za-z]*u[A-Za-z]*$/.test(word));
      if (python && !told) {
        const asked = await container.exec([python, "-c", isBuffered], 10_000);
        if (asked.code === 9) {
          return fail("Python keeps what is printed until 8 KiB have come together", {
            evidence: ["sys.stdout.write_through is False in the container"],
            hint: "ENV PYTHONUNBUFFERED=1",
          });
        }
      }
      // What serves nothing counts as started before it has come to print.
      const patience = session.target.path === undefined ? context.contract.start : 0;
      for (let tries = 0; tries < 10 || container.seconds() < patience; tries++) {
        if (container.stdout + container.stderr !== "") break;
        await sleep(100);
      }
      const streams = (["stdout", "stderr"] as const).filter((name) => container[name] !== "");
      if (streams.length > 0)
        return pass(`it prints on ${streams.join(" and ")}, unbuffered`, { evidence: container.lastLines(2) });
      return warn("it has printed nothing so far", {
        hint: "log to stderr: the start at least, so that whoever looks sees that it runs",
      });
    }),
};
