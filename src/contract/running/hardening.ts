import { fail, type Finding, notApplicable, notRun, pass } from "../finding.ts";
import { processesOf } from "./processes.ts";
import type { RunningCheck, RunningContext } from "./running-check.ts";
import type { StartOptions } from "./runtime.ts";
import { DidNotStart, waitedFor } from "./session.ts";
import type { Container } from "./container.ts";
import { guarded } from "./with-container.ts";

export const runtimeReadOnly: RunningCheck = {
  id: "runtime.read-only",
  title: "it runs with a read-only root file system",
  holds: "With nothing but /tmp to write to, the image starts and answers as it does otherwise.",
  why: "Kubernetes' securityContext and many platforms run it so: what is written into the image is lost with the container, and a file that can't be written can't be changed by an intruder.",
  sources: ["Kubernetes: Configure a Security Context, readOnlyRootFilesystem", "docker run --read-only"],
  run: (context) =>
    tryWay(context, {
      way: { readOnly: true },
      works: "starts and answers with /tmp alone to write to",
      fails: "it does not start with a read-only root file system",
      trace: /read-only file system|EROFS|Errno 30/i,
      hint: "write below /tmp, or name the folder as a volume; caches have variables: HF_HOME, MPLCONFIGDIR, XDG_CACHE_HOME",
    }),
};

export const runtimeCapabilities: RunningCheck = {
  id: "runtime.capabilities",
  title: "it runs without any capability",
  holds:
    "With all capabilities dropped, no way to gain new privileges, and ports below 1024 for root alone, the image starts and answers.",
  why: "Kubernetes' Pod Security Standard `restricted` asks for this. Docker gives containers a dozen capabilities and every port, so what is needed of them is not seen there.",
  sources: ["Kubernetes: Pod Security Standards, restricted", "capabilities(7)", "ip(7): ip_unprivileged_port_start"],
  run: (context) =>
    tryWay(context, {
      way: { restricted: true },
      works: "starts and answers without capabilities",
      fails: "it does not start without capabilities",
      trace: /permission denied|operation not permitted|EPERM|EACCES|Errno 1\b|Errno 13\b/i,
      hint: "listen on a port from 1024 on, change no owners and no users at the start",
      judge: (container) => {
        const holding = (processesOf(container.running.pid) ?? []).filter(({ capabilities }) => capabilities !== 0n);
        if (holding.length === 0) return undefined;
        if (context.session.runtime.kind === "none")
          return notRun("without an engine root keeps its capabilities, in a namespace of its own");
        return fail("processes hold capabilities all the same", {
          evidence: holding.map(({ innerPid, name }) => `PID ${innerPid} ${name}`),
          hint: "this runtime did not take them away: look at its settings",
        });
      },
    }),
};

export const runtimeArbitraryUser: RunningCheck = {
  id: "runtime.arbitrary-user",
  title: "it runs as any user of the group 0",
  holds: "With uid 1000650000 and gid 0, which the image's passwd does not have, the image starts and answers.",
  why: "OpenShift gives each project a range of uids and runs images as one of them, whatever USER says; a home folder that only one user may read, or a look-up of the user's name, stops it.",
  sources: ["OpenShift: Creating images, Support arbitrary user ids", "pwd.getpwuid raises KeyError"],
  run: (context) =>
    tryWay(context, {
      way: { user: "1000650000:0" },
      works: "starts and answers as uid 1000650000, gid 0",
      fails: "it does not start as uid 1000650000",
      trace: /permission denied|uid not found|getpwuid|no such user|Errno 13\b|EACCES/i,
      hint: "let the group 0 have what the user has (chgrp -R 0, chmod -R g=u), and set HOME",
    }),
};

export const runtimeNoNetwork: RunningCheck = {
  id: "runtime.no-network",
  title: "it starts without a network",
  holds:
    "With nothing but loopback the image starts, and its own HEALTHCHECK succeeds. An image that needs services to start (`run-env`), or has no probe, is not asked.",
  why: "What is downloaded at the start (models, tables, a package) makes each start depend on another's server, and fails where the way out is closed.",
  sources: ["Kubernetes: Network Policies, default deny egress", "docker run --network none"],
  run: async (context) => {
    const { contract, image } = context;
    if (Object.keys(contract.runEnv).length > 0) return notApplicable("it is given services by run-env");
    const [form] = image.config.config?.Healthcheck?.Test ?? [];
    if (form !== "CMD" && form !== "CMD-SHELL") return notApplicable("there is no HEALTHCHECK to ask inside");
    return guarded(context, async (session) => {
      const usual = await session.probe(await session.shared());
      if (usual?.code !== 0) return notRun("the probe that would be asked fails with a network too");
      return tryWay(context, {
        way: { network: false },
        works: "starts without a network, and its probe succeeds",
        fails: "it does not start without a network",
        trace: /resol|unreachable|getaddrinfo|connection|timed? ?out/i,
        hint: "put into the image what it downloads at the start",
      });
    });
  },
};

interface Trial {
  way: Pick<StartOptions, "readOnly" | "restricted" | "user"> & { network?: boolean };
  works: string;
  fails: string;
  /** Lines of the output that say what it was. */
  trace: RegExp;
  hint: string;
  judge?: (container: Container) => Finding | undefined;
}

/** Starts the image in a harder way than usual, and compares with the start that is known to go well. */
function tryWay(context: RunningContext, { way, works, fails, trace, hint, judge }: Trial): Promise<Finding> {
  return guarded(context, async (session) => {
    await session.shared();
    let container: Container | undefined;
    try {
      container = await session.start(way);
      await session.ready(container);
      const judged = judge?.(container);
      if (judged) return judged;
      const traces = linesLike(container, trace);
      return pass(works, traces.length > 0 ? { evidence: traces.slice(0, 5) } : {});
    } catch (error) {
      if (!(error instanceof DidNotStart)) throw error;
      const traces = container ? linesLike(container, trace) : [];
      return fail(fails, {
        evidence: [...new Set([error.message, ...traces.slice(0, 3), ...error.evidence.slice(-3)])],
        hint,
        ...waitedFor(error, context.contract),
      });
    } finally {
      await container?.end();
    }
  });
}

function linesLike(container: Container, trace: RegExp): string[] {
  return container.lastLines(1000).filter((line) => trace.test(line));
}
