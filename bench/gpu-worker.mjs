// The worker of examples/demeterai for a GPU beside the recipe of bench/baseline/Dockerfile.gpu, in one run. A download of
// 2.5 GB for each, up to 20 GB of disk while it runs, and a quarter of an hour.
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { median, output, printTable, seconds } from "./measure.mjs";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const docker = process.env.SHEAF_TEST_DOCKER ?? "docker";
const rounds = Number(process.env.SHEAF_BENCH_ROUNDS ?? 3);
const work = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-bench-gpu-"));
const name = path.basename(work);
const project = path.join(work, "demeterai");
const small = path.join(work, "small");
const cache = path.join(work, "cache");
const baselineTag = "sheaf-bench-gpu-baseline";
const sheafTag = "sheaf-bench-gpu:latest";
const smallTag = "sheaf-bench-gpu:small";
const buildkit = { env: { ...process.env, DOCKER_BUILDKIT: "1" } };
let mostMemory = 0;
const builtBefore = new Set(buildCache());
process.on("exit", tidy);

fs.cpSync(path.join(root, "examples", "demeterai"), project, { recursive: true });
// The cache mount is this run's own, so that a clean build finds it empty.
const recipe = path.join(work, "Dockerfile");
const written = fs.readFileSync(path.join(root, "bench/baseline/Dockerfile.gpu"), "utf8");
fs.writeFileSync(recipe, written.replace("type=cache,", `type=cache,id=${name},`));
const oneTarget = { cuda: "12.1", targets: ["a10"], profile: "inference" };
const threeTargets = { ...oneTarget, targets: ["t4", "a10", "h100"] };
console.log(
  `node ${process.versions.node}, ${os.availableParallelism()} cores, load ${os.loadavg()[0].toFixed(1)}, medians of ${rounds} where nothing or one line changed\n`,
);

const rows = [];
const main = path.join(project, "app", "main.py");
const code = (line) => fs.appendFileSync(main, `\n# ${line}\n`);
const unpacked = (tag) => Number(output(docker, ["image", "inspect", "-f", "{{.Size}}", tag]));

// One after the other: together they need more disk than most machines have to spare.
const usual = await measureBaseline();
forgetBaseline();

setGpu(project, oneTarget);
const clean = await sheaf();
const loading = await sheaf("--load");
rows.push({ name: "clean build, downloads included", baseline: usual.clean, sheaf: clean.seconds, ratio: 1 });
rows.push({ name: "and into the engine", baseline: usual.clean, sheaf: clean.seconds + loading.seconds });
rows.push({ name: "most memory of any build", sheaf: 0, unit: "MB", atMost: 1.5e9 });
rows.push({ name: "nothing changed", sheaf: median(await times(() => sheaf())), atMost: 0.3 });
rows.push({
  name: "one line of code",
  baseline: usual.change,
  sheaf: median(await times((round) => (code(`sheaf ${round}`), sheaf()))),
  atMost: 0.5,
});
const archive = path.join(work, "worker.tar");
const exported = await sheaf("-o", `type=docker-archive,dest=${archive}`);
fs.rmSync(archive);
rows.push({ name: "whole export", baseline: usual.export, sheaf: exported.seconds, ratio: 0.25 });
rows.push(shownByEngine("one architecture", sheafTag));
rows.push(compressed("one architecture", clean.image.size, 1.5e9));

setGpu(project, threeTargets);
const three = await sheaf();
rows.push({ name: "t4 and h100 added to a10", sheaf: three.seconds });
rows.push({ name: "new layers of that, compressed", sheaf: newBytes(three.image), unit: "MB" });
rows.push(sized("three architectures", three.image.size));
rows.push(compressed("three architectures", three.image.size));

setGpu(project, { ...oneTarget, "prune-nvidia": true });
const pruned = await sheaf();
rows.push({ name: "prune-nvidia set", sheaf: pruned.seconds });
rows.push(sized("one architecture, prune-nvidia", pruned.image.size));
rows.push(compressed("one architecture, prune-nvidia", pruned.image.size, 0.9e9));
setGpu(project, { ...threeTargets, "prune-nvidia": true });
const prunedThree = await sheaf();
rows.push(sized("three architectures, prune-nvidia", prunedThree.image.size));
rows.push(compressed("three architectures, prune-nvidia", prunedThree.image.size));

writeSmall();
const few = await sheaf("--load", "-t", smallTag, small);
const onlyTorch = "torch, torchvision, pillow, celery, prune-nvidia";
rows.push({ ...shownByEngine(onlyTorch, smallTag), baseline: undefined, atMost: 1.5e9 });
rows.push({ ...compressed(onlyTorch, few.image.size), baseline: undefined });
const memory = rows.find(({ name }) => name === "most memory of any build");
memory.sheaf = mostMemory;

const over = printTable(rows);
console.log(over === 0 ? "\nevery limit holds" : `\n${over} over their limit`);
process.exitCode = over === 0 ? 0 : 1;

/** The usual recipe: seconds for each step, bytes unpacked and packed. */
async function measureBaseline() {
  const build = (...extra) =>
    seconds(docker, ["build", "-q", "-f", recipe, "-t", baselineTag, ...extra, project], buildkit);
  const clean = build("--no-cache");
  const change = median(await times((round) => (code(`baseline ${round}`), { seconds: build() })));
  const packed = await savedAndPacked(baselineTag);
  return { clean, change, unpacked: unpacked(baselineTag), export: packed.seconds, compressed: packed.bytes };
}

function compressed(what, { compressed: bytes }, atMost) {
  const name = `compressed: ${what}`;
  return { name, baseline: usual.compressed, sheaf: bytes, unit: "MB", ...(atMost ? { atMost } : {}) };
}

function sized(what, { unpacked: bytes }) {
  return { name: `unpacked: ${what}`, baseline: usual.unpacked, sheaf: bytes, unit: "MB" };
}

/** What `docker images` shows. */
function shownByEngine(what, tag) {
  return sized(what, { unpacked: unpacked(tag) });
}

function words(...extra) {
  const own = extra.some((word) => word === small) ? [] : [project, "--image", "worker", "-t", sheafTag];
  return [path.join(root, "dist/cli.js"), "build", ...own, "--json", "-q", "--cache-dir", cache, ...extra];
}

/** One build: seconds, and the image as `--json` tells it. */
async function sheaf(...extra) {
  const started = process.hrtime.bigint();
  const child = spawn(process.execPath, words(...extra), { stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) child[stream].on("data", (bytes) => (texts[stream] += bytes));
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, highestMemory(child.pid))), 50);
  const status = await new Promise((resolve) => child.on("close", resolve));
  clearInterval(watch);
  mostMemory = Math.max(mostMemory, peak);
  if (status !== 0) throw new Error(`sheaf ${extra.join(" ")} failed:\n${texts.stdout}\n${texts.stderr}`);
  const [image] = JSON.parse(texts.stdout).images;
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9, image };
}

/** Linux keeps the highest resident size of a process: bytes. */
function highestMemory(pid) {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

async function times(action) {
  const found = [];
  for (let round = 0; round < rounds; round += 1) found.push((await action(round)).seconds);
  return found;
}

function newBytes({ layers }) {
  return layers.filter(({ reused }) => !reused).reduce((sum, layer) => sum + layer.compressed, 0);
}

/** `docker save | gzip`: seconds, and the bytes that come out. */
async function savedAndPacked(tag) {
  const started = process.hrtime.bigint();
  const save = spawn(docker, ["save", tag], { stdio: ["ignore", "pipe", "inherit"] });
  const pack = spawn("gzip", ["-c"], { stdio: [save.stdout, "pipe", "inherit"] });
  let bytes = 0;
  pack.stdout.on("data", (chunk) => (bytes += chunk.length));
  // The pipe between them is never read here, so the first one's streams don't close.
  const ended = (child, event) => new Promise((resolve) => child.on(event, resolve));
  const statuses = await Promise.all([ended(save, "exit"), ended(pack, "close")]);
  if (statuses.some((status) => status !== 0)) throw new Error(`docker save ${tag} | gzip failed`);
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9, bytes };
}

function setGpu(folder, settings) {
  const file = path.join(folder, "pyproject.toml");
  const text = fs.readFileSync(file, "utf8");
  const values = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  fs.writeFileSync(file, text.replace(/^gpu = .*$/m, `gpu = { ${values.join(", ")} }`));
}

/** A worker of torch, torchvision, pillow and celery alone. */
function writeSmall() {
  fs.mkdirSync(small, { recursive: true });
  fs.writeFileSync(
    path.join(small, "jobs.py"),
    [
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
  );
  fs.writeFileSync(path.join(small, ".python-version"), "3.12\n");
  fs.writeFileSync(
    path.join(small, "pyproject.toml"),
    [
      '[project]\nname = "small"\nversion = "1"\nrequires-python = ">=3.12"',
      'dependencies = ["torch==2.3.1", "torchvision==0.18.1", "pillow<13", "celery[redis]<6", "numpy<2"]\n',
      "[tool.sheaf.images.worker]",
      'command = ["celery", "-A", "jobs", "worker", "--pool=solo"]',
      "gpu = {}\n",
    ].join("\n"),
  );
  setGpu(small, { ...oneTarget, "prune-nvidia": true });
}

function buildCache() {
  const listed = output(docker, ["system", "df", "-v", "--format", "{{range .BuildCache}}{{.ID}}\n{{end}}"]);
  return listed.split("\n").filter((id) => id !== "");
}

/** What the usual recipe left in the engine: 17 GB. */
function forgetBaseline() {
  ignoringFailure(["image", "rm", "-f", baselineTag]);
  // Children before parents: what another entry needs stays for the next round.
  for (let round = 0; round < 3; round += 1)
    for (const id of buildCache().filter((each) => !builtBefore.has(each)))
      ignoringFailure(["builder", "prune", "-a", "-f", "--filter", `id=${id}`]);
}

function tidy() {
  fs.rmSync(work, { recursive: true, force: true });
  ignoringFailure(["image", "rm", "-f", sheafTag, smallTag]);
  forgetBaseline();
}

function ignoringFailure(args) {
  try {
    output(docker, args, buildkit);
  } catch {
    // It was not there.
  }
}
