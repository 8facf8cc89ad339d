import { setTimeout as sleep } from "node:timers/promises";

import { fail, notRun, pass } from "../finding.ts";
import { programIn, pythonIn } from "./image-programs.ts";
import { processesOf } from "./processes.ts";
import type { RunningCheck } from "./running-check.ts";
import { whenRunning } from "./with-container.ts";

/** Leaves three processes to PID 1 that have ended, or are about to. */
const orphansOfPython =
  "import os\nfor _ in range(3):\n if os.fork() == 0:\n  if os.fork() == 0: os.sched_yield()\n  os._exit(0)\n";
const orphansOfShell = "for each in 1 2 3; do ( : & : & ) ; done";

export const runtimeZombies: RunningCheck = {
  id: "runtime.zombies",
  title: "PID 1 reaps orphans",
  holds:
    "Processes whose parent has ended are left to PID 1, and two seconds after they have ended themselves none of them is a zombie. Three of them are made beside the image's command, with its shell or its Python.",
  why: "Each zombie keeps a PID: a probe or a worker that leaves one behind a minute fills the limit in days, and then nothing can be started any more. A server as PID 1 does not reap.",
  sources: ["pid_namespaces(7): orphans become children of PID 1", "wait(2): zombies", "krallin/tini"],
  run: (context) =>
    whenRunning(context, async (container) => {
      const config = context.image.config.config ?? {};
      const { pid } = container.running;
      const shell = programIn(context.facts, config, "sh");
      const python = pythonIn(context.facts, config);
      const command = python ? [python, "-I", "-S", "-c", orphansOfPython] : [shell ?? "", "-c", orphansOfShell];
      if (!python && !shell) return notRun("the image has neither a shell nor a Python to leave orphans with");
      if (!processesOf(pid)) return notRun("the container's processes can't be seen from here");
      const made = await container.exec(command, 10_000);
      if (made.code !== 0) return notRun(`orphans could not be made: exit code ${made.code} ${made.stderr.trim()}`);
      const zombies = () => (processesOf(pid) ?? []).filter(({ state, parent }) => state === "Z" && parent === pid);
      // Those that are reaped may be so at once, or not have been there yet.
      await sleep(200);
      for (let tries = 0; tries < 36 && zombies().length > 0; tries++) await sleep(50);
      const left = zombies();
      const [first] = processesOf(pid) ?? [];
      if (left.length === 0) return pass(`${first?.name ?? "PID 1"} as PID 1 reaps orphans`);
      return fail(`${left.length} zombies are left, PID 1 (${first?.name}) does not reap them`, {
        evidence: left.map(({ innerPid, name }) => `PID ${innerPid} ${name}: zombie`),
        hint: 'put an init before the command: ENTRYPOINT ["tini", "--"], or run it with --init',
      });
    }),
};
