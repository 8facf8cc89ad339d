import type { Healthcheck } from "../../oci/types.ts";
import type { StaticCheck } from "../check.ts";
import type { HealthPromise } from "../contract.ts";
import { fail, notApplicable, pass } from "../finding.ts";
import { findProgram, isExecutable } from "../facts/programs.ts";
import { probeOf } from "../facts/probe.ts";
import { shellPrograms } from "../facts/shell-programs.ts";

/** Docker's, where the image names none. */
const dockersOwn = { interval: 30, timeout: 30, startPeriod: 0, retries: 3 };

/** What engines ask, in seconds. */
function figuresOf({ Interval, Timeout, StartPeriod, Retries }: Healthcheck): Required<HealthPromise> {
  const seconds = (value: unknown, unset: number) => (typeof value === "number" && value !== 0 ? value / 1e9 : unset);
  return {
    interval: seconds(Interval, dockersOwn.interval),
    timeout: seconds(Timeout, dockersOwn.timeout),
    startPeriod: seconds(StartPeriod, dockersOwn.startPeriod),
    retries: typeof Retries === "number" && Retries > 0 ? Retries : dockersOwn.retries,
  };
}

function figuresText({ interval, timeout, startPeriod, retries }: HealthPromise): string {
  const seconds = (value: number | undefined) => (value === undefined ? "any" : `${value}s`);
  return `${seconds(interval)} ${seconds(timeout)} ${seconds(startPeriod)} ${retries ?? "any"}`;
}

const healthInstruction = /^(?:\/bin\/sh -c #\(nop\)\s+)?HEALTHCHECK (?!NONE)/;

export const configHealthcheck: StaticCheck = {
  id: "config.healthcheck",
  title: "a HEALTHCHECK is there, with the promised figures",
  holds:
    "The config has a health check (CMD or CMD-SHELL), and its interval, timeout, start period and retries are those of the contract. What the image leaves out counts as Docker's default. Without promised figures a probe has to be asked at least every five minutes and to end before the next.",
  why: "Without one an engine takes a server that hangs for a good one. The OCI format has no such field: tools that convert an image (skopeo, buildah) drop it without a word.",
  sources: [
    "CIS Docker Benchmark 4.6",
    "Dockerfile reference: HEALTHCHECK",
    "measured: skopeo copy docker-archive to oci drops it",
  ],
  run: ({ image, contract }) => {
    const { Healthcheck } = image.config.config ?? {};
    if (contract.health === false) return notApplicable("no health check is promised");
    const probe = probeOf(Healthcheck);
    if (!Healthcheck || !probe) {
      const told = (image.config.history ?? []).find(({ created_by = "" }) => healthInstruction.test(created_by));
      return fail(Healthcheck?.Test?.[0] === "NONE" ? "the HEALTHCHECK is NONE" : "there is no HEALTHCHECK", {
        ...(told
          ? { evidence: [`the history has one, so a conversion lost it: ${told.created_by?.slice(0, 200)}`] }
          : {}),
        hint: told
          ? "keep the image in Docker's format: podman build --format docker, skopeo copy --format v2s2"
          : 'HEALTHCHECK --interval=30s --timeout=3s --start-period=40s --retries=3 CMD ["python3", "-c", …]',
      });
    }
    const figures = figuresOf(Healthcheck);
    const promised = contract.health;
    const wrong = (["interval", "timeout", "startPeriod", "retries"] as const).filter(
      (key) => promised[key] !== undefined && promised[key] !== figures[key],
    );
    const limit = figuresText(promised);
    if (wrong.length > 0) {
      return fail(`HEALTHCHECK ${figuresText(figures)}`, {
        limit,
        evidence: wrong.map((key) => `${names[key]} is ${figures[key]}, promised is ${promised[key]}`),
        hint: `set ${wrong.map((key) => `--${names[key]}=${promised[key]}${key === "retries" ? "" : "s"}`).join(" ")}`,
      });
    }
    if (figures.interval > 300)
      return fail(`it is asked every ${figures.interval} s only`, { hint: "an interval of 30 s is usual" });
    return pass(`HEALTHCHECK ${figuresText(figures)}`, Object.keys(promised).length > 0 ? { limit } : {});
  },
};

const names = { interval: "interval", timeout: "timeout", startPeriod: "start-period", retries: "retries" } as const;

export const configHealthcheckProbe: StaticCheck = {
  id: "config.healthcheck-probe",
  title: "what the HEALTHCHECK runs is in the image",
  holds:
    "The probe's program is in the image and executable: the first word of the exec form, the shell and every program of the shell form.",
  why: "A probe whose program is missing fails for ever, and an orchestrator restarts a server that is well: curl is not in slim images.",
  sources: ["Dockerfile reference: HEALTHCHECK", "docker-library/healthcheck"],
  run: ({ image, facts }) => {
    const config = image.config.config ?? {};
    const { Healthcheck } = config;
    const probe = probeOf(Healthcheck);
    if (!probe) return notApplicable("there is no HEALTHCHECK");
    const { form, words } = probe;
    const shell = config.Shell?.[0] ?? "/bin/sh";
    const wanted = form === "CMD" ? programsOf(words) : [shell, ...shellPrograms(words.join(" "))];
    const missing = wanted.filter((word) => {
      const found = findProgram(facts, word, config);
      return !found || !isExecutable(found.file);
    });
    // Of `curl … || wget …` one is enough.
    const alternatives =
      words.join(" ").includes("||") && wanted.some((word) => word !== shell && !missing.includes(word));
    if (missing.length === 0 || (alternatives && !missing.includes(shell)))
      return pass(`the probe runs ${wanted.find((word) => word !== shell && !missing.includes(word)) ?? shell}`);
    return fail(`the probe runs ${missing.join(" and ")}, which the image does not have`, {
      evidence: [`${form} ${words.join(" ")}`],
      hint:
        form === "CMD-SHELL" && missing.includes(shell)
          ? 'without a shell use the exec form: HEALTHCHECK CMD ["/app/probe"]'
          : `install ${missing.join(" and ")}, or ask with Python: ["python3", "-c", "import urllib.request as u; u.urlopen('http://localhost:8000/health', timeout=3)"]`,
    });
  },
};

/** `sh -c "…"` hides its programs in a word. */
function programsOf([program = "", flag = "", text = "", ...rest]: string[]): string[] {
  const isShell = /(?:^|\/)(?:ba|da|a)?sh$/.test(program) && /^-[a-z]*c$/.test(flag) && rest.length === 0;
  return isShell ? [program, ...shellPrograms(text)] : [program];
}
