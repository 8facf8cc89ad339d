import { setTimeout as sleep } from "node:timers/promises";

import { parseHealthcheck, probeEvidence } from "../../engine/health.ts";
import type { RunningCheck, RunningContext } from "./running-check.ts";
import { fail, type Finding, notApplicable, notRun, pass } from "../finding.ts";
import type { Container } from "./container.ts";
import { pythonIn } from "./image-programs.ts";
import { processesOf, signalAll } from "./processes.ts";
import type { Session } from "./session.ts";
import { secondsText } from "./texts.ts";
import { guarded, whenRunning, withFresh } from "./with-container.ts";

export const runtimeHealthcheck: RunningCheck = {
  id: "runtime.healthcheck",
  title: "the HEALTHCHECK succeeds in the running container",
  holds:
    "The image's own probe, run beside the server that answers, as the image's user and with its variables, exits 0 within its timeout.",
  why: "A probe that never succeeds (another port, localhost that is ::1, no right to a file, a program that is missing) gets a good server restarted for ever.",
  sources: ["Dockerfile reference: HEALTHCHECK", "moby/moby: health.go"],
  run: (context) =>
    whenRunning(context, async (container, session) => {
      const { config } = context.image.config;
      const check = parseHealthcheck(config?.Healthcheck, config?.Shell);
      if (!check) return notApplicable("there is no HEALTHCHECK");
      const startedAt = performance.now();
      const result = await session.probe(container);
      const seconds = (performance.now() - startedAt) / 1000;
      const limit = secondsText(check.timeoutMs / 1000);
      const figure = { measured: seconds, limit: check.timeoutMs / 1000, unit: "seconds" as const };
      if (result?.code === 0) return pass(`the probe succeeds after ${secondsText(seconds)}`, { limit, figure });
      return fail("the probe fails while the server answers", {
        limit: `exit code 0 within ${limit}`,
        figure,
        evidence: [
          `it runs: ${check.command.join(" ")}`,
          probeEvidence(result?.code ?? 1, `${result?.stdout}${result?.stderr}`),
        ],
        hint: "let it ask the port and path that the server has, by 127.0.0.1, with a program of the image",
      });
    }),
};

export const runtimeHealthNegative: RunningCheck = {
  id: "runtime.health-negative",
  title: "the HEALTHCHECK fails when the server does",
  holds:
    "The probe exits with another code than 0, or not within its timeout, when every process of the container is stopped (SIGSTOP), when all but PID 1 are killed and the server does not come back, and, where the image has a Python, when something in the server's place answers 500.",
  why: "A probe that always succeeds (`curl` without -f, `|| true`, one that asks whether a file is there) is worse than none: everything looks fine while nothing works.",
  sources: ["Dockerfile reference: HEALTHCHECK", "curl(1): --fail"],
  run: (context) => {
    const { config } = context.image.config;
    if (!parseHealthcheck(config?.Healthcheck, config?.Shell))
      return Promise.resolve(notApplicable("there is no HEALTHCHECK"));
    return guarded(context, async (session) => {
      const blind = await answers500(context, session);
      if (blind?.verdict === "fail") return blind;
      return withFresh(context, async (container) => {
        const evidence = blind ? [...(blind.evidence ?? [])] : [];
        if (!signalAll(container.running.pid, "SIGSTOP"))
          return notRun("this user may not stop the container's processes");
        const hung = await session.probe(container);
        signalAll(container.running.pid, "SIGCONT");
        // A probe of processes, as a worker's is, sees that they are there and not that they are stopped.
        if (hung?.code === 0 && session.target.path !== undefined) return sleeper("hangs", "stopped by SIGSTOP");
        evidence.push(
          hung?.code === 0
            ? "stopped by SIGSTOP: the probe asks for processes, and they are there"
            : `stopped by SIGSTOP: ${probeEvidence(hung?.code ?? 1, `${hung?.stdout}${hung?.stderr}`)}`,
        );
        signalAll(container.running.pid, "SIGKILL", "not PID 1");
        const dead = await afterDeath(session, container);
        if (dead.verdict === "fail") return dead;
        const measured = blind
          ? "it fails when the server hangs, dies or answers 500"
          : "it fails when the server hangs or dies";
        return pass(measured, { evidence: [...evidence, dead.measured] });
      });
    });
  },
};

/** What the probe says of a container whose processes, but for PID 1, were killed. */
async function afterDeath(session: Session, container: Container): Promise<Finding> {
  const isGone = () => container.exitCode !== undefined || processesOf(container.running.pid) === undefined;
  for (let tries = 0; tries < 20 && !isGone(); tries++) await sleep(50);
  // PID 1 is the server itself: to end it is to end the container, which no engine overlooks.
  if (!isGone() && session.target.path !== undefined) {
    const answer = await session.answer(container);
    if (answer === true && signalAll(container.running.pid, "SIGKILL"))
      for (let tries = 0; tries < 100 && !isGone(); tries++) await sleep(50);
  }
  if (isGone()) return pass("killed: the container ends with the server");
  const result = await session.probe(container);
  if (result?.code === 0 && (await session.answer(container)) !== true) return sleeper("is dead", "killed by SIGKILL");
  return pass(`killed: ${probeEvidence(result?.code ?? 1, `${result?.stdout}${result?.stderr}`)}`);
}

/** Runs the probe beside a server of Sheaf's that answers everything with 500; undefined where that can't be. */
async function answers500({ image, facts }: RunningContext, session: Session): Promise<Finding | undefined> {
  const python = pythonIn(facts, image.config.config ?? {});
  const { port, path } = session.target;
  if (python === undefined || path === undefined || port === undefined) return undefined;
  const container = await session.start({ command: [python, "-c", serverOf500, String(port)] });
  try {
    for (let tries = 0; tries < 400 && !container.stdout.includes("ready"); tries++) {
      if (container.exitCode !== undefined) return undefined;
      await sleep(25);
    }
    const result = await session.probe(container);
    if (result?.code === 0) return sleeper("answers 500", "a server that answers 500 to everything in its place");
    return pass("500", {
      evidence: [`status 500: ${probeEvidence(result?.code ?? 1, `${result?.stdout}${result?.stderr}`)}`],
    });
  } finally {
    await container.end();
  }
}

const serverOf500 = `
import socket, sys, threading
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", int(sys.argv[1])))
server.listen(16)
print("ready", flush=True)
while True:
    client, _ = server.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 500 Internal Server Error\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nno")
    client.close()
`;

function sleeper(what: string, how: string): Finding {
  return fail(`the probe succeeds though the server ${what}`, {
    limit: "exit code other than 0",
    evidence: [`the server: ${how}`, "the probe: exit code 0"],
    hint: "let it ask the health URL and fail on every answer but a good one: curl -f, urllib's urlopen with a timeout",
  });
}
