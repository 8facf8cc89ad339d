// Builds of examples/demeterai beside the recipe that uv's documentation recommends (bench/baseline), in one run.
import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { inTurn, output, printTable, seconds } from "./measure.mjs";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const docker = process.env.SHEAF_TEST_DOCKER ?? "docker";
const rounds = Number(process.env.SHEAF_BENCH_ROUNDS ?? 3);
const work = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-bench-"));
const cache = path.join(work, "cache");
const layout = path.join(work, "layout");
const project = path.join(work, "demeterai");
const buildkit = { env: { ...process.env, DOCKER_BUILDKIT: "1" } };
process.on("exit", () => fs.rmSync(work, { recursive: true, force: true }));

fs.cpSync(path.join(root, "examples", "demeterai"), project, { recursive: true });
console.log(
  `node ${process.versions.node}, ${os.availableParallelism()} cores, load ${os.loadavg()[0].toFixed(1)}, ${rounds} rounds in turn, medians\n`,
);

const baseline = (...extra) =>
  seconds(
    docker,
    [
      "build",
      "-q",
      "-f",
      path.join(root, "bench/baseline/Dockerfile"),
      "-t",
      "sheaf-bench-baseline",
      ...extra,
      project,
    ],
    buildkit,
  );
const sheaf = (...extra) =>
  seconds(process.execPath, [
    path.join(root, "dist/cli.js"),
    "build",
    project,
    "--image",
    "api",
    "-q",
    "-t",
    "sheaf-bench:latest",
    "--cache-dir",
    cache,
    ...extra,
  ]);
const toLayout = () => sheaf("-o", `type=oci,dest=${layout}`);
const rows = [];

const clean = await inTurn(
  rounds,
  () => (output(docker, ["builder", "prune", "-af"]), baseline("--no-cache")),
  () => (
    fs.rmSync(cache, { recursive: true, force: true }),
    fs.rmSync(layout, { recursive: true, force: true }),
    toLayout()
  ),
);
rows.push({ name: "clean build, downloads included", ...clean, ratio: 0.7 });

rows.push({ name: "nothing changed", ...(await inTurn(rounds + 2, () => baseline(), toLayout)), atMost: 0.2 });

const main = path.join(project, "app", "main.py");
const code = (line) => fs.appendFileSync(main, `\n# ${line}\n`);
rows.push({
  name: "one line of code, to an OCI layout",
  ...(await inTurn(
    rounds + 2,
    (round) => (code(`baseline ${round}`), baseline()),
    (round) => (code(`sheaf ${round}`), toLayout()),
  )),
  ratio: 0.35,
});
sheaf("--load");
rows.push({
  name: "one line of code, into the engine",
  ...(await inTurn(
    rounds + 2,
    (round) => (code(`engine ${round}`), baseline()),
    (round) => (code(`loaded ${round}`), sheaf("--load")),
  )),
  ratio: 1,
});

const before = blobs();
const lock = path.join(project, "requirements", "api.txt");
const pinned = fs.readFileSync(lock, "utf8");
const added = addedRequirement();
fs.writeFileSync(lock, `${pinned}\n${added}`);
const dependencyBaseline = baseline();
const dependencySheaf = toLayout();
const fresh = [...blobs()].filter(([name]) => !before.has(name)).reduce((sum, [, size]) => sum + size, 0);
rows.push({ name: "one dependency added", baseline: dependencyBaseline, sheaf: dependencySheaf, ratio: 0.2 });
rows.push({ name: "new blobs after it", sheaf: fresh, unit: "MB", atMost: 2e6 });
fs.writeFileSync(lock, pinned);

baseline();
sheaf("--load");
const sizes = JSON.parse(
  output(process.execPath, [
    path.join(root, "dist/cli.js"),
    "build",
    project,
    "--image",
    "api",
    "-q",
    "--json",
    "-t",
    "sheaf-bench:latest",
    "--cache-dir",
    cache,
  ]),
).images[0].size;
rows.push({
  name: "size unpacked",
  baseline: Number(output(docker, ["image", "inspect", "-f", "{{.Size}}", "sheaf-bench-baseline"])),
  sheaf: sizes.unpacked,
  unit: "MB",
  ratio: 0.7,
});
rows.push({
  name: "size compressed",
  baseline: compressedSize("sheaf-bench-baseline"),
  sheaf: sizes.compressed,
  unit: "MB",
  ratio: 0.7,
});
rows.push({
  name: "docker run to the first 200",
  ...(await inTurn(
    5,
    () => firstAnswer("sheaf-bench-baseline"),
    () => firstAnswer("sheaf-bench:latest"),
  )),
  ratio: 1,
});
output(docker, ["image", "rm", "-f", "sheaf-bench-baseline", "sheaf-bench:latest"]);

const over = printTable(rows);
console.log(over === 0 ? "\nevery limit holds" : `\n${over} over their limit`);
process.exitCode = over === 0 ? 0 : 1;

/** A small package that the lock does not have, pinned with the hashes that the index gives. */
function addedRequirement() {
  const folder = path.join(work, "added");
  output("python3", [
    "-m",
    "pip",
    "download",
    "-q",
    "--no-deps",
    "--only-binary",
    ":all:",
    "-d",
    folder,
    "itsdangerous==2.2.0",
  ]);
  const [file] = fs.readdirSync(folder);
  const hash = output("python3", ["-m", "pip", "hash", path.join(folder, file)]).match(/sha256:[0-9a-f]{64}/)[0];
  return `itsdangerous==2.2.0 --hash=${hash}\n`;
}

function blobs() {
  const folder = path.join(layout, "blobs", "sha256");
  return new Map(fs.readdirSync(folder).map((name) => [name, fs.statSync(path.join(folder, name)).size]));
}

function compressedSize(image) {
  const folder = path.join(work, "baseline-layout");
  output("skopeo", ["copy", "-q", `docker-daemon:${image}:latest`, `oci:${folder}:latest`]);
  const read = (digest) => JSON.parse(fs.readFileSync(path.join(folder, "blobs", "sha256", digest.slice(7)), "utf8"));
  const index = JSON.parse(fs.readFileSync(path.join(folder, "index.json"), "utf8"));
  return read(index.manifests[0].digest).layers.reduce((sum, layer) => sum + layer.size, 0);
}

async function firstAnswer(image) {
  const started = process.hrtime.bigint();
  const id = output(docker, ["run", "-d", "-P", "-e", "APP_ENV=production", image]).trim();
  try {
    const port = output(docker, ["port", id, "8000/tcp"]).split("\n")[0].split(":").at(-1);
    for (let attempt = 0; attempt < 2000; attempt += 1) {
      if ((await statusOf(`http://127.0.0.1:${port}/health`)) === 200)
        return Number(process.hrtime.bigint() - started) / 1e9;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`${image} did not answer: ${output(docker, ["logs", id])}`);
  } finally {
    output(docker, ["rm", "-f", id]);
  }
}

/** Undefined while nothing answers. */
function statusOf(url) {
  return new Promise((resolve) => {
    const request = http.get(url, { timeout: 1000, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("timeout", () => request.destroy()).on("error", () => resolve(undefined));
  });
}
