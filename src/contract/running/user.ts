import type { RunningCheck } from "./running-check.ts";
import { fail, notRun, pass } from "../finding.ts";
import { processesOf } from "./processes.ts";
import { whenRunning } from "./with-container.ts";

export const runtimeUser: RunningCheck = {
  id: "runtime.user",
  title: "no process is root",
  holds:
    "Every process of the running image has an effective uid that is not 0; it is the contract's uid where it names one, and `whoami` in the container says the contract's user.",
  why: "A start script that changes the user, or a supervisor that keeps root for itself, shows only in the running container.",
  sources: ["CIS Docker Benchmark 4.1", "proc_pid_status(5): Uid"],
  run: (context) =>
    whenRunning(context, async (container) => {
      const { contract, facts } = context;
      const processes = processesOf(container.running.pid);
      if (!processes) return notRun("the container's processes can't be seen from here");
      const told = await container.exec(["whoami"], 5000);
      const uids = [...new Set(processes.map(({ uid }) => uid))];
      const nameOf = (uid: number) =>
        facts
          .text("etc/passwd")
          ?.split("\n")
          .map((line) => line.split(":"))
          .find((fields) => Number(fields[2]) === uid)?.[0];
      const name = told.code === 0 ? told.stdout.trim() : nameOf(uids[0] ?? 0);
      const evidence = processes.map(({ innerPid, name: program, uid }) => `PID ${innerPid} ${program}: uid ${uid}`);
      const hint = "USER 10001:10001 as the image's user, and no start script that needs root";
      const roots = processes.filter(({ uid }) => uid === 0);
      if (roots.length > 0) {
        const measured = `${roots.length === processes.length ? "all" : roots.length} of its ${processes.length} processes ${roots.length === 1 && processes.length > 1 ? "is" : "are"} root`;
        return fail(measured, { evidence, hint });
      }
      const strangers = contract.uid === undefined ? [] : uids.filter((uid) => uid !== contract.uid);
      if (strangers.length > 0)
        return fail(`it runs as ${strangers.join(", ")}`, { limit: `uid ${contract.uid}`, evidence, hint });
      if (contract.user !== undefined && name !== contract.user)
        return fail(`it runs as ${name ?? `uid ${uids[0]}, which has no name`}`, {
          limit: contract.user,
          evidence,
          hint,
        });
      const count = processes.length === 1 ? "its process is" : `all ${processes.length} processes are`;
      return pass(`${count} ${name === undefined ? "" : `${name}, `}uid ${uids.join(", ")}`, { evidence });
    }),
};
