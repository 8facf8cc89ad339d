/**
 * The example's worker for a GPU, built by Sheaf, at work without one. CUDA is a download of 2.5 GB, so this is run where it is
 * asked for: SHEAF_TEST_GPU_IMAGE=1.
 */
import * as fs from "node:fs";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { dockerEngine, requireOrSkip } from "../lab/lab.ts";
import { EngineRoom, inspectImage } from "./dockerfile-example.ts";
import { type Servers, servers } from "./dockerfile-servers.ts";
import { buildJson, type BuiltJson } from "./example.ts";
import { countOnePhoto, sendOnePhoto } from "./plant-count.ts";
import { sheaf, writeFiles } from "./sheaf.ts";

const asked = process.env["SHEAF_TEST_GPU_IMAGE"] === "1";
const docker = asked ? dockerEngine() : undefined;
const programs = docker ? servers() : undefined;
const usable = asked && requireOrSkip("Docker", docker) && requireOrSkip("PostgreSQL and Redis", programs);

const oneTarget = 'cuda = "12.1", targets = ["a10"], profile = "inference"';
const threeTargets = 'cuda = "12.1", targets = ["t4", "a10", "h100"], profile = "inference"';
const pruned = "prune-nvidia = true";

describe.skipIf(!usable)(
  "the example's GPU worker (skipped unless SHEAF_TEST_GPU_IMAGE=1: a download of 2.5 GB)",
  () => {
    const room = new EngineRoom(docker?.command ?? "");
    const tag = room.tag("worker");
    let project: string;
    let built: BuiltJson;

    beforeAll(async () => {
      project = room.context("gpu");
      built = await build(oneTarget, "--load", "-t", tag);
    }, 1_200_000);

    async function build(gpu: string, ...words: string[]): Promise<BuiltJson> {
      const file = path.join(project, "pyproject.toml");
      const text = fs.readFileSync(file, "utf8");
      expect(text).toMatch(/^gpu = \{.*\}$/m);
      fs.writeFileSync(file, text.replace(/^gpu = .*$/m, `gpu = { ${gpu} }`));
      return buildJson([project, "--image", "worker", ...words], { timeoutMs: 1_200_000 });
    }

    it("has at most 1.5 GB compressed with NVIDIA's files as they are, and Docker shows what Sheaf says", async ({
      annotate,
    }) => {
      const { Size, Config } = await inspectImage(room, tag);
      await annotate(
        `${(Size / 1e9).toFixed(2)} GB unpacked, ${(built.size.compressed / 1e9).toFixed(2)} GB compressed`,
      );
      expect(built.size.compressed).toBeLessThanOrEqual(1.5e9);
      expect(Math.abs(Size - built.size.unpacked)).toBeLessThan(0.01 * Size);
      expect(Config.User).toBe("10001:10001");
      expect(Config.Labels).toMatchObject({
        "sheaf.cuda.version": "12.1",
        "sheaf.cuda.min-driver": "525.60.13",
        "sheaf.cuda.targets": "8.6",
        "sheaf.cuda.profile": "inference",
      });
      expect(Config.Labels?.["sheaf.cuda.nvidia-modified"]).toBeUndefined();
      expect(Config.Env).toEqual(
        expect.arrayContaining(["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]),
      );
    });

    it(
      "loads its libraries, computes on the CPU, and says of a stub what is left out",
      { timeout: 300_000 },
      async () => {
        const program = [
          "import json, torch, torchvision, ultralytics, cv2",
          "model = torchvision.models.resnet18().eval()",
          "with torch.inference_mode(): out = model(torch.rand(1, 3, 64, 64))",
          "inverse = torch.linalg.inv(torch.eye(3) * 2)",
          "spectrum = torch.fft.fft(torch.ones(4)).abs().tolist()",
          "boxes = torchvision.ops.nms(torch.tensor([[0., 0, 9, 9], [0, 0, 9, 8]]), torch.tensor([.9, .8]), .5)",
          "print(json.dumps([torch.version.cuda, torch.cuda.is_available(), list(out.shape), inverse[0, 0].item(), spectrum, boxes.tolist()]))",
        ].join("\n");
        const answer = (await room.runOnce(tag, "python", "-c", program)).split("\n").at(-1) ?? "";
        expect(JSON.parse(answer)).toEqual(["12.1", false, [1, 1000], 0.5, [4, 0, 0, 0], [0]]);
        const call = "import ctypes; print(ctypes.CDLL('libcufft.so.11').cufftPlan1d(None, 1, 1, 1))";
        const folder = "/usr/local/lib/python3.12/site-packages/nvidia/cufft/lib";
        const shell = `LD_LIBRARY_PATH=${folder} python -c "${call}" 2>&1`;
        expect(await room.runOnce("--entrypoint", "sh", tag, "-c", shell)).toMatch(/cufft[\s\S]*keep = \["cufft"\]/i);
      },
    );

    it(
      "holds code of the GPU that was named in every library of torch, and no other",
      { timeout: 300_000 },
      async () => {
        const outcome = await sheaf(["gpu", "inspect", built.references[0] ?? tag, "--targets", "a10", "--json"]);
        expect(outcome.code, outcome.stderr).toBe(0);
        const { libraries } = JSON.parse(outcome.stdout) as { libraries: InspectedLibrary[] };
        const torchs = libraries.filter(({ path: file }) => file.includes("/torch/lib/"));
        expect(torchs.length).toBeGreaterThan(0);
        for (const { code, coverage } of torchs) {
          expect(code.map(({ name }) => name)).toEqual(["sm_86"]);
          expect(coverage).toEqual([{ target: 86, machineCode: expect.any(Number), ptx: 0, nothing: 0 }]);
        }
      },
    );

    describe("with Redis and PostgreSQL", () => {
      let running: Servers;
      /** Options of `docker run` with which a container reaches the servers and shares the photos. */
      let shared: string[];

      beforeAll(async () => {
        running = await (programs as () => Promise<Servers>)();
        const variables = { DATABASE_URL: running.databaseUrl, REDIS_URL: running.redisUrl };
        shared = [
          ...["--network", "host", "-v", `${room.volume("photos")}:/app/uploads`],
          ...Object.entries(variables).flatMap(([name, value]) => ["-e", `${name}=${value}`]),
        ];
        await room.runOnce(...shared, tag, "alembic", "upgrade", "head");
      }, 120_000);

      afterAll(() => running?.stop());

      it("counts the plants of a photo on the CPU, and turns healthy", { timeout: 300_000 }, async () => {
        const worker = await room.start("counts", ...shared, tag);
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
        expect(status).toBe(0);
      });

      it("finishes the task that it has when it is told to end", { timeout: 300_000 }, async () => {
        const worker = await room.start("warm", ...shared, tag);
        const key = (await room.runOnce(...shared, tag, "python", "-c", sendOnePhoto)).split("\n").at(-1) ?? "";
        // The first task imports torch, which takes seconds: it is under way.
        await expect.poll(() => worker.logs(), { timeout: 60_000, interval: 100 }).toContain("received");
        const { status } = await worker.signal("TERM");
        expect(status).toBe(0);
        const logs = await worker.logs();
        expect(logs).toContain("Warm shutdown");
        expect(logs.split("\n").filter((line) => line.includes("plants counted") && line.includes(key))).toHaveLength(
          1,
        );
      });
    });

    it(
      "takes another architecture without making anew what has no code for it",
      { timeout: 600_000 },
      async ({ annotate }) => {
        const wider = await build(threeTargets);
        await annotate(
          `${(wider.size.unpacked / 1e9).toFixed(2)} GB unpacked, ${(wider.size.compressed / 1e9).toFixed(2)} GB compressed`,
        );
        const before = new Set(built.layers.map(({ digest }) => digest));
        const fresh = wider.layers.filter(({ digest }) => !before.has(digest)).map(({ name }) => name.split(" ")[0]);
        expect(fresh.filter((name) => !/^(?:torch|torchvision|demeterai)$/.test(name ?? ""))).toEqual([]);
      },
    );

    it(
      "has at most 0.9 GB compressed with NVIDIA's libraries pruned, and says so in a label",
      { timeout: 600_000 },
      async ({ annotate }) => {
        const name = room.tag("pruned");
        const { size } = await build(`${oneTarget}, ${pruned}`, "--load", "-t", name);
        await annotate(
          `${(size.unpacked / 1e9).toFixed(2)} GB unpacked, ${(size.compressed / 1e9).toFixed(2)} GB compressed`,
        );
        expect(size.compressed).toBeLessThanOrEqual(0.9e9);
        expect((await inspectImage(room, name)).Config.Labels).toMatchObject({ "sheaf.cuda.nvidia-modified": "true" });
        const versions = [
          "import ctypes, torch",
          "print(torch.backends.cudnn.version(), ctypes.CDLL('libcublasLt.so.12').cublasLtGetVersion())",
        ].join("\n");
        expect(await room.runOnce(name, "python", "-c", versions)).toMatch(/(?:^|\n)8902 120103$/);
      },
    );

    it(
      "has at most 1.5 GB in Docker with torch, torchvision, pillow and celery alone",
      { timeout: 600_000 },
      async ({ annotate }) => {
        const name = room.tag("small");
        const folder = writeFiles(room.folder("small"), smallWorker);
        await buildJson([folder, "--load", "-t", name], { timeoutMs: 600_000 });
        const { Size } = await inspectImage(room, name);
        await annotate(`${(Size / 1e9).toFixed(2)} GB`);
        expect(Size).toBeLessThanOrEqual(1.5e9);
        const program =
          "import jobs, PIL.Image; PIL.Image.new('RGB', (64, 64)).save('/tmp/x.png'); print(jobs.classes('/tmp/x.png'))";
        expect(await room.runOnce(name, "python", "-c", program)).toMatch(/(?:^|\n)\d+$/);
      },
    );
  },
);

interface InspectedLibrary {
  path: string;
  code: { name: string }[];
  coverage: { target: number; machineCode: number; ptx: number; nothing: number }[];
}

const smallWorker = {
  ".python-version": "3.12\n",
  "pyproject.toml": [
    '[project]\nname = "small"\nversion = "1"\nrequires-python = ">=3.12"',
    'dependencies = ["torch==2.3.1", "torchvision==0.18.1", "pillow<13", "celery[redis]<6", "numpy<2"]\n',
    '[tool.sheaf.images.worker]\ncommand = ["celery", "-A", "jobs", "worker", "--pool=solo"]',
    `gpu = { ${oneTarget}, ${pruned} }\n`,
  ].join("\n"),
  "jobs.py": [
    "import torch",
    "import torchvision",
    "from celery import Celery",
    "from PIL import Image",
    "",
    'celery = Celery("jobs", broker="redis://localhost:6379/0")',
    "",
    "",
    "@celery.task",
    "def classes(photo):",
    "    model = torchvision.models.resnet18().eval()",
    "    pixels = torchvision.transforms.functional.to_tensor(Image.open(photo))",
    "    with torch.inference_mode():",
    "        return model(pixels.unsqueeze(0)).argmax().item()",
    "",
  ].join("\n"),
};
