// Static verification beside `skopeo copy` to a folder, which reads every byte once, and syft, which lists packages, in one run.
//
//   npm run bench verify                       the example's API by the recipe of bench/baseline, built with docker
//   npm run bench verify LAYOUT ARCHIVE …      images that are there: OCI layouts, and archives of `docker save`
//
// SHEAF_BENCH_LARGE=1 builds the recipe's GPU worker, too: 6 GB of downloads, 25 GB of disk while it runs.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { median, observed, output, printTable } from "./measure.mjs";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const docker = process.env.SHEAF_TEST_DOCKER ?? "docker";
const syft = fs.existsSync(path.join(root, ".tools/bin/syft")) ? path.join(root, ".tools/bin/syft") : "syft";
const rounds = Number(process.env.SHEAF_BENCH_ROUNDS ?? 3);
const work = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-bench-verify-"));
process.on("exit", () => fs.rmSync(work, { recursive: true, force: true }));

/** Bytes, for an image of any size. */
const mostMemory = 400e6;

console.log(
  `node ${process.versions.node}, ${os.availableParallelism()} cores, load ${os.loadavg()[0].toFixed(1)}, ${rounds} rounds in turn, medians\n`,
);
const named = process.argv.slice(2).map((file) => path.resolve(file));
const images = named.length > 0 ? named : builtImages();
const rows = [];
for (const image of images) rows.push(...(await rowsOf(image)));
const over = printTable(rows);
console.log(over === 0 ? "\nevery limit holds" : `\n${over} over their limit`);
process.exitCode = over === 0 ? 0 : 1;

async function rowsOf(image) {
  const isLayout = fs.statSync(image).isDirectory();
  const copy = path.join(work, "copy");
  // What fails a check is not what is measured.
  const tools = {
    sheaf: () =>
      observed(process.execPath, [path.join(root, "dist/cli.js"), "verify", image, "--static"], { codes: [0, 1] }),
    skopeo: () => observed("skopeo", ["copy", "-q", `${isLayout ? "oci" : "docker-archive"}:${image}`, `dir:${copy}`]),
    syft: () =>
      observed(syft, ["scan", "-q", "-o", "json", `${isLayout ? "oci-dir" : "docker-archive"}:${image}`], {
        env: { ...process.env, SYFT_CHECK_FOR_APP_UPDATE: "false" },
      }),
  };
  const found = { sheaf: [], skopeo: [], syft: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const [tool, measure] of Object.entries(tools)) {
      found[tool].push(await measure());
      fs.rmSync(copy, { recursive: true, force: true });
    }
  }
  const of = (tool, what) => median(found[tool].map((each) => each[what]));
  const size = unpackedSize(image);
  const name = `${path.basename(image)} (${size})`;
  const row = (what, measure, baseline) => ({
    name: `${name}: ${what}`,
    ...(baseline ? { baseline: of(baseline, measure) } : {}),
    sheaf: of("sheaf", measure),
    ...(measure === "peak" ? { unit: "MB" } : {}),
  });
  return [
    { ...row("verify --static", "seconds"), atMost: size.endsWith("GB") ? 40 : 2 },
    row("beside skopeo copy dir:", "seconds", "skopeo"),
    row("beside syft", "seconds", "syft"),
    { ...row("peak memory", "peak"), atMost: mostMemory },
    row("beside skopeo's", "peak", "skopeo"),
    row("beside syft's", "peak", "syft"),
  ];
}

/** `286 MB`, as the check tells it: layouts don't say what they unpack to. */
function unpackedSize(image) {
  const words = [path.join(root, "dist/cli.js"), "verify", image, "--static", "--format", "json", "-q"];
  const { stdout } = spawnSync(process.execPath, words, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  const told = JSON.parse(stdout).checks.find(({ id }) => id === "size.unpacked").measured;
  return /[\d.]+ [kMG]B/.exec(told)?.[0] ?? "";
}

/** Layouts and archives of what the recipe builds. */
function builtImages() {
  const recipes = { api: "Dockerfile", ...(process.env.SHEAF_BENCH_LARGE ? { worker: "Dockerfile.gpu" } : {}) };
  const project = path.join(root, "examples/demeterai");
  const env = { ...process.env, DOCKER_BUILDKIT: "1" };
  return Object.entries(recipes).flatMap(([name, recipe]) => {
    const tag = `sheaf-bench-verify-${name}`;
    const [archive, layout] = [path.join(work, `${name}.tar`), path.join(work, name)];
    output(docker, ["build", "-q", "-f", path.join(root, "bench/baseline", recipe), "-t", tag, project], { env });
    output(docker, ["save", tag, "-o", archive]);
    output("skopeo", ["copy", "-q", `docker-archive:${archive}`, `oci:${layout}`]);
    return [archive, layout];
  });
}
