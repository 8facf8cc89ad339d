/** The example's images, built by Sheaf and by Docker out of the emitted Dockerfile, keep their whole contract wherever they run. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { verify } from "../../src/cli/commands/verify.ts";
import { CommandContext } from "../../src/cli/context.ts";
import { VerdictDocument } from "../../src/report/verdict-schema.ts";
import { namespacesWork } from "../engine/namespaces-available.ts";
import { dockerEngine, podman, requireOrSkip, tool } from "../lab/lab.ts";
import { build, buildKit } from "./buildkit.ts";
import { base, EngineRoom } from "./dockerfile-example.ts";
import { writePlantsRepository } from "./plants-repository.ts";
import { sharedStore, sheaf } from "./sheaf.ts";

const client = await buildKit(base);
const runtimes = [
  ["docker", requireOrSkip("Docker", dockerEngine())],
  ["podman", requireOrSkip("Podman", podman())],
  ["none", namespacesWork()],
] as const;
const engines = runtimes.filter(([, isThere]) => isThere).map(([engine]) => engine);
const name = `sheaf-e2e-everywhere-${process.pid}`;
const repository = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));

const promises = `
[tool.sheaf.contract]
starts = 2

[tool.sheaf.images.api.contract]
health-body = { status = "healthy" }
`;

beforeAll(async () => {
  writePlantsRepository(repository, name);
  fs.appendFileSync(path.join(repository, "pyproject.toml"), promises);
  const built = await sheaf(["build", repository, "--image", "api", "--image", "worker"], { timeoutMs: 280_000 });
  if (built.code !== 0) throw new Error(built.stderr);
}, 300_000);

afterAll(() => fs.rmSync(repository, { recursive: true, force: true }));

type Options = Record<string, string | boolean>;
type Verdict = ReturnType<typeof VerdictDocument.parse>;

/** What `sheaf verify` says of an image in one runtime. */
async function verdictOf(reference: string, options: Options): Promise<Verdict> {
  const context = new CommandContext({
    cacheDir: sharedStore,
    quiet: true,
    signal: new AbortController().signal,
  });
  onTestFinished(() => context.close());
  const contract = path.join(repository, "pyproject.toml");
  const result = await verify.run({ arguments: [reference], rest: [], options: { contract, ...options } }, context);
  return VerdictDocument.parse(JSON.parse(JSON.stringify(result.json)));
}

/** The base that stands for python:3.12-slim has a pip that trusts the proxy of the machine that it was made on, and says so nowhere. */
function isOfStandIn({ id, verdict, evidence = [] }: Verdict["checks"][number]): boolean {
  return (
    id === "python.record" &&
    verdict === "fail" &&
    evidence.every((line) => /^pip .*\/certifi\/cacert\.pem has another content$/.test(line))
  );
}

/** What took too long on a machine that other tests keep busy. */
function isTooBusy({ verdict, evidence = [] }: Verdict["checks"][number]): boolean {
  return verdict === "error" && /^others keep \d+ % of this machine's processors busy$/.test(evidence[0] ?? "");
}

const seen = new Map<string, string>();

/** Everything that applies is run and passes, and each check ends as in every other runtime. */
function expectWhole(image: string, { verdict, checks }: Verdict): void {
  const others = checks.filter(
    (check) =>
      check.verdict !== "pass" &&
      (check.verdict !== "skipped" || check.notRun) &&
      !isOfStandIn(check) &&
      !isTooBusy(check),
  );
  expect(others.map(({ id, verdict: each, measured, evidence }) => ({ id, each, measured, evidence }))).toEqual([]);
  const isClear = !checks.some((check) => isOfStandIn(check) || isTooBusy(check));
  expect(verdict).toBe(isClear ? "pass" : "fail");
  // Where nobody can tell, no runtime tells another thing.
  if (checks.some(isTooBusy)) return;
  const all = checks.map((check) => `${check.id} ${check.verdict}`).join("\n");
  expect(all).toBe(seen.get(image) ?? all);
  seen.set(image, all);
}

describe.skipIf(!requireOrSkip("redis-server", tool("redis-server")))(
  "images that Sheaf builds keep their contract (skipped without redis-server)",
  { timeout: 300_000 },
  () => {
    it.each(["api", "worker"].flatMap((image) => engines.map((engine) => [image, engine] as const)))(
      "the %s in %s",
      async (image, engine) => expectWhole(image, await verdictOf(`${name}-${image}:latest`, { engine, image })),
    );
  },
);

describe.skipIf(!client || !requireOrSkip("redis-server", tool("redis-server")))(
  "images that Docker builds of the emitted Dockerfile keep their contract (skipped without Docker)",
  { timeout: 300_000 },
  () => {
    const room = new EngineRoom(client ?? "");
    const dockerfile = path.join(repository, "Dockerfile");

    beforeAll(async () => {
      const written = await sheaf(["dockerfile", repository]);
      if (written.code !== 0) throw new Error(written.stderr);
      for (const image of ["api", "worker"])
        await build(room.client, repository, { tag: room.tag(image), target: image });
    }, 300_000);

    it.each(["api", "worker"].flatMap((image) => engines.map((engine) => [image, engine] as const)))(
      "the %s in %s",
      async (image, engine) => {
        const options = { engine, image, dockerfile, target: image };
        expectWhole(`Docker's ${image}`, await verdictOf(`docker-daemon:${room.unique}:${image}`, options));
      },
    );
  },
);
