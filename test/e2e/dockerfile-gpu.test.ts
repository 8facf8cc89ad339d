/**
 * The GPU image, built from both Dockerfiles, at work without a GPU. torch's wheels are gigabytes and the image is 6 GB, so this
 * is run where it is asked for: SHEAF_TEST_GPU_IMAGE=1.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { output, requireOrSkip } from "../lab/lab.ts";
import { executed } from "./buildkit-steps.ts";
import { build, buildKit } from "./buildkit.ts";
import { base, type Container, EngineRoom, inspectImage } from "./dockerfile-example.ts";
import { type Servers, servers } from "./dockerfile-servers.ts";
import { countOnePhoto } from "./plant-count.ts";

const client = process.env["SHEAF_TEST_GPU_IMAGE"] === "1" ? await buildKit(base) : undefined;
const programs = client ? servers() : undefined;
const usable = Boolean(client) && requireOrSkip("PostgreSQL and Redis", programs);

describe.skipIf(!usable)(
  "the example's GPU image (skipped unless SHEAF_TEST_GPU_IMAGE=1: a download of 2.5 GB)",
  () => {
    const room = new EngineRoom(client ?? "");
    const tag = room.tag("ml");
    let context: string;
    let running: Servers;
    let worker: Container;
    /** Options of `docker run` with which a container reaches the servers and shares the photos. */
    let shared: string[];

    beforeAll(async () => {
      context = room.context("ml");
      await build(room.client, context, { tag, args: { ENABLE_GPU: "true" }, timeoutMs: 1_500_000 });
      running = await (programs as () => Promise<Servers>)();
      const volume = room.volume("uploads");
      const variables = { DATABASE_URL: running.databaseUrl, REDIS_URL: running.redisUrl };
      shared = [
        ...["--network", "host", "-v", `${volume}:/app/uploads`],
        ...Object.entries(variables).flatMap(([name, value]) => ["-e", `${name}=${value}`]),
      ];
      await room.runOnce(...shared, tag, "alembic", "upgrade", "head");
    }, 1_800_000);

    afterAll(() => running?.stop());

    it(
      "is what Dockerfile.gpu makes, too: the same command, environment, distributions and size",
      { timeout: 1_500_000 },
      async () => {
        const other = room.tag("ml-gpu");
        await build(room.client, context, { tag: other, file: "Dockerfile.gpu", timeoutMs: 1_400_000 });
        const [one, two] = await Promise.all([inspectImage(room, tag), inspectImage(room, other)]);
        expect({ ...two.Config, Labels: undefined, Env: two.Config.Env.toSorted() }).toMatchObject({
          Cmd: one.Config.Cmd,
          Entrypoint: one.Config.Entrypoint,
          User: one.Config.User,
          Env: one.Config.Env.toSorted(),
          Healthcheck: one.Config.Healthcheck,
        });
        expect(Math.abs(two.Size - one.Size)).toBeLessThan(5e6);
        const { steps } = await build(room.client, context, { tag: other, file: "Dockerfile.gpu" });
        expect(executed(steps)).toEqual([]);
      },
    );

    it("starts Celery as the card says, with the variables of NVIDIA's runtime", async () => {
      const { Config } = await inspectImage(room, tag);
      expect(Config.Cmd).toEqual(["celery", "-A", "app.celery_app", "worker", "--pool=solo", "--concurrency=1"]);
      expect(Config.Env).toEqual(
        expect.arrayContaining([
          "CUDA_VISIBLE_DEVICES=0",
          "NVIDIA_VISIBLE_DEVICES=all",
          "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        ]),
      );
      expect(Config.User).toBe("10001:10001");
    });

    it("has CUDA 12.1's runtime once, from torch's wheels", { timeout: 120_000 }, async () => {
      const program = "import torch; print(torch.version.cuda, torch.cuda.is_available())";
      expect(await room.runOnce(tag, "python", "-c", program)).toBe("12.1 False");
      // torchvision's wheel has a copy of the runtime alone, under a name of its own.
      const search = "find / -xdev -name 'libcudart*.so*' -not -path '*/torchvision.libs/*'; true";
      const found = await room.runOnce("--entrypoint", "sh", "-u", "0", tag, "-c", search);
      expect(found.split("\n")).toEqual([expect.stringMatching(/nvidia\/cuda_runtime\/lib\/libcudart\.so\.12$/)]);
    });

    it(
      "does a task from Redis on the CPU, says so in its log, turns healthy, and ends on SIGTERM",
      { timeout: 300_000 },
      async () => {
        worker = await room.start("worker", ...shared, tag);
        const answer = await room.runOnce(...shared, tag, "python", "-c", countOnePhoto);
        const { plants, device, stored } = JSON.parse(answer.split("\n").at(-1) ?? "") as Record<string, unknown>;
        expect(device).toBe("cpu");
        expect(Math.abs(Number(plants) - 20)).toBeLessThanOrEqual(2);
        expect(stored).toBe(plants);
        expect(await worker.logs()).toContain("no CUDA device found, counting on the CPU");
        await expect
          .poll(() => worker.inspect("{{.State.Health.Status}}"), { timeout: 60_000, interval: 1000 })
          .toBe("healthy");
        const { seconds, status } = await worker.signal("TERM");
        expect(seconds).toBeLessThan(10);
        expect([0, 143]).toContain(status);
      },
    );

    it("fits its description", async ({ annotate }) => {
      const { Size } = await inspectImage(room, tag);
      const sizes = await output(room.client, ["history", "--format", "{{.Size}}\t{{.CreatedBy}}", tag]);
      await annotate(`${(Size / 1e9).toFixed(2)} GB\n${sizes}`);
      expect(Size).toBeLessThan(7e9);
    });
  },
);
