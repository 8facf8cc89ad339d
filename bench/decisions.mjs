// The figures of docs/decisions.md: bases, probes, wheels for other platforms, shared layers, on examples/demeterai.
//
//   node bench/decisions.mjs [wheels] [images] [shared]        all three unless named; docker and python3 with pip
//
// The images come from Dockerfiles on python:3.12-slim and from Sheaf. "shared" also builds the worker: gigabytes.
import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { median, output } from "./measure.mjs";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const docker = process.env.SHEAF_TEST_DOCKER ?? "docker";
const work = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-decisions-"));
const made = [];
process.on("exit", () => {
  fs.rmSync(work, { recursive: true, force: true });
  if (made.length > 0) output(docker, ["image", "rm", "-f", ...made]);
});
const chosen = process.argv.slice(2);
const parts = { wheels, images, shared };
for (const [name, part] of Object.entries(parts)) if (chosen.length === 0 || chosen.includes(name)) await part();

/** How many of a lock's distributions have a wheel for CPython 3.12, by platform, and the bytes of these wheels. */
async function wheels() {
  const platforms = {
    "manylinux x86_64": /^manylinux.*_x86_64$/,
    "musllinux x86_64": /^musllinux_1_[12]_x86_64$/,
    "manylinux aarch64": /^manylinux.*_aarch64$/,
  };
  const index = output("python3", ["-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"]).trim();
  console.log("\n| lock | platform | pure | for the platform | MB | without a wheel |\n|---|---|---|---|---|---|");
  for (const lock of ["api", "worker"]) {
    const text = fs.readFileSync(path.join(root, `examples/demeterai/requirements/${lock}.txt`), "utf8");
    const pins = [...text.matchAll(/^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)(.*)$/gm)].filter(
      ([, , , rest]) => !rest.includes("win32"),
    );
    const pages = [];
    for (let at = 0; at < pins.length; at += 8)
      pages.push(...(await Promise.all(pins.slice(at, at + 8).map(([, name]) => simplePage(`${index}/${name}/`)))));
    for (const [platform, tag] of Object.entries(platforms)) {
      const found = pins.map(([, name, version], at) => ({ name, file: wheelFor(pages[at], version, tag) }));
      const pure = found.filter(({ file }) => file?.filename.endsWith("-any.whl"));
      const bytes = found.reduce((sum, { file }) => sum + (file?.size ?? 0), 0);
      const without = found.filter(({ file }) => !file).map(({ name }) => name);
      const cells = [lock, platform, pure.length, found.length - pure.length - without.length, megabytes(bytes)];
      console.log(`| ${cells.join(" | ")} | ${without.join(", ") || "none"} |`);
    }
  }
}

async function simplePage(url) {
  const response = await fetch(url, { headers: { accept: "application/vnd.pypi.simple.v1+json" } });
  if (!response.ok) throw new Error(`the index answers ${response.status} for ${url}`);
  return (await response.json()).files;
}

/** The smallest one that fits, or undefined. */
function wheelFor(files, version, platform) {
  const fits = ({ filename, yanked }) => {
    const [, ofVersion, ...tags] = filename.endsWith(".whl") ? filename.slice(0, -4).split("-") : [];
    const [python, abi, platforms] = tags.slice(-3);
    if (yanked || ofVersion !== version || !platforms) return false;
    if (platforms === "any") return /\bpy3\b/.test(python);
    const minor = Number(python.match(/cp3(\d+)/)?.[1] ?? 0);
    const runs =
      abi === "cp312" || (abi.includes("abi3") && minor <= 12) || (abi === "none" && /py3|cp312/.test(python));
    return runs && platforms.split(".").some((each) => platform.test(each));
  };
  return files.filter(fits).toSorted((a, b) => a.size - b.size)[0];
}

/** Sizes, starts, tools that work inside, and what a probe costs. */
async function images() {
  const variants = [
    ["slim", { dockerfile: true }],
    ["slim, curl", { dockerfile: true, image: 'health-client = "curl"' }],
    ["composed", {}],
    ["composed, curl", { image: 'health-client = "curl"' }],
    ["distroless", { project: "shell = false" }],
  ];
  console.log(
    "\n| image | MB unpacked | MB compressed | start, s | works by docker exec | not there |\n|---|---|---|---|---|---|",
  );
  const probes = [];
  const tags = variants.map(([title, settings]) => imageOf(title, settings));
  const starts = tags.map(() => []);
  for (let round = 0; round < 5; round += 1)
    for (const [at, tag] of tags.entries()) starts[at].push(await withContainer(tag, ({ seconds }) => seconds));
  for (const [at, tag] of tags.entries()) {
    const title = variants[at][0];
    const { tools, times } = await withContainer(tag, ({ id }) => ({ tools: toolsOf(id), times: probesOf(id) }));
    const { unpacked, compressed } = sizesOf(tag);
    const named = (works) => Object.keys(tools).filter((name) => tools[name] === works);
    console.log(
      `| ${title} | ${megabytes(unpacked)} | ${megabytes(compressed)} | ${median(starts[at]).toFixed(2)} | ${named(true).join(" ")} | ${named(false).join(" ")} |`,
    );
    for (const [probe, milliseconds] of times) probes.push(`| ${title} | ${probe} | ${milliseconds.toFixed(0)} |`);
  }
  console.log(`\n| image | probe | ms, docker exec included |\n|---|---|---|\n${probes.join("\n")}`);
}

function imageOf(title, { dockerfile, image = "", project = "" }) {
  const name = `sheaf-decisions-${title.replaceAll(/[^a-z]+/g, "-")}`;
  const folder = path.join(work, name);
  fs.cpSync(path.join(root, "examples", "demeterai"), folder, { recursive: true });
  const file = path.join(folder, "pyproject.toml");
  const settings = fs
    .readFileSync(file, "utf8")
    .replace("[tool.sheaf]\n", `[tool.sheaf]\n${project}\n`)
    .replace("[tool.sheaf.images.api]\n", `[tool.sheaf.images.api]\n${image}\n`);
  fs.writeFileSync(file, settings);
  made.push(name);
  if (!dockerfile) {
    sheaf("build", folder, "--image", "api", "-t", `${name}:latest`, "--load", "-q");
    return name;
  }
  for (const each of ["Dockerfile", "Dockerfile.gpu", ".dockerignore"])
    fs.rmSync(path.join(folder, each), { force: true });
  sheaf("dockerfile", folder, "-q");
  output(docker, ["build", "-q", "-t", name, folder], { env: { ...process.env, DOCKER_BUILDKIT: "1" } });
  return name;
}

function sheaf(...words) {
  return output(process.execPath, [path.join(root, "dist/cli.js"), ...words]);
}

/** Both kinds of image measured by the same means: out of the engine, each layer through gzip at skopeo's level. */
function sizesOf(tag) {
  const layout = path.join(work, "layout");
  fs.rmSync(layout, { recursive: true, force: true });
  output("skopeo", ["copy", "-q", `docker-daemon:${tag}:latest`, `oci:${layout}:latest`]);
  const read = (digest) => JSON.parse(fs.readFileSync(path.join(layout, "blobs", "sha256", digest.slice(7)), "utf8"));
  const index = JSON.parse(fs.readFileSync(path.join(layout, "index.json"), "utf8"));
  const { layers } = read(index.manifests[0].digest);
  return {
    unpacked: Number(output(docker, ["image", "inspect", "-f", "{{.Size}}", tag])),
    compressed: layers.reduce((sum, layer) => sum + layer.size, 0),
  };
}

async function withContainer(tag, act) {
  const started = process.hrtime.bigint();
  const id = output(docker, ["run", "-d", "-P", tag]).trim();
  try {
    const port = output(docker, ["port", id, "8000/tcp"]).split("\n")[0].split(":").at(-1);
    while (!(await answers(`http://127.0.0.1:${port}/health`))) {
      if (process.hrtime.bigint() - started > 60_000_000_000n) throw new Error(`${tag} does not answer`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return act({ id, seconds: Number(process.hrtime.bigint() - started) / 1e9 });
  } finally {
    output(docker, ["rm", "-f", id]);
  }
}

function answers(url) {
  return new Promise((resolve) => {
    const request = http.get(url, { timeout: 1000, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("timeout", () => request.destroy()).on("error", () => resolve(false));
  });
}

function toolsOf(id) {
  const tools = {
    sh: ["sh", "-c", "true"],
    bash: ["bash", "-c", "true"],
    ls: ["ls", "/app"],
    cat: ["cat", "/etc/passwd"],
    ps: ["ps"],
    wget: ["wget", "-q", "-O", "/dev/null", "http://localhost:8000/health"],
    curl: ["curl", "-fs", "http://localhost:8000/health"],
    whoami: ["whoami"],
    apt: ["apt-get", "--version"],
    pip: ["python3", "-m", "pip", "--version"],
    python: ["python3", "-c", "import app.main"],
    pdb: ["python3", "-c", "import pdb"],
  };
  return Object.fromEntries(Object.entries(tools).map(([name, words]) => [name, attempt(["exec", id, ...words])]));
}

function probesOf(id) {
  const ask =
    "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://localhost:8000/health', timeout=3)";
  const probes = {
    curl: ["curl", "-fs", "-o", "/dev/null", "http://localhost:8000/health"],
    wget: ["wget", "-q", "-O", "/dev/null", "http://localhost:8000/health"],
    python: ["python3", "-I", "-S", "-c", ask],
    nothing: ["/usr/bin/tini", "--version"],
  };
  return Object.entries(probes)
    .filter(([, words]) => attempt(["exec", id, ...words]))
    .map(([name, words]) => [name, median(Array.from({ length: 10 }, () => milliseconds(["exec", id, ...words])))]);
}

function attempt(words) {
  try {
    output(docker, words);
    return true;
  } catch {
    return false;
  }
}

function milliseconds(words) {
  const started = process.hrtime.bigint();
  output(docker, words);
  return Number(process.hrtime.bigint() - started) / 1e6;
}

/** Layers that the API's and the worker's image have in common, with compiled modules and without. */
function shared() {
  console.log("\n| images | API, MB compressed | worker | in both | layers in both |\n|---|---|---|---|---|");
  for (const bytecode of [true, false]) {
    const folder = path.join(work, `shared-${bytecode}`);
    fs.cpSync(path.join(root, "examples", "demeterai"), folder, { recursive: true });
    const file = path.join(folder, "pyproject.toml");
    const settings = fs.readFileSync(file, "utf8").replace("[tool.sheaf]\n", `[tool.sheaf]\nbytecode = ${bytecode}\n`);
    fs.writeFileSync(file, settings);
    const [api, worker] = JSON.parse(sheaf("build", folder, "--json", "-q")).images;
    const digests = new Set(worker.layers.map(({ digest }) => digest));
    const common = api.layers.filter(({ digest }) => digests.has(digest));
    const bytes = megabytes(common.reduce((sum, layer) => sum + layer.compressed, 0));
    const sizes = [api, worker].map(({ size }) => megabytes(size.compressed));
    const title = bytecode ? "composed" : "composed, bytecode = false";
    console.log(`| ${[title, ...sizes, bytes, common.map(({ name }) => name).join(", ")].join(" | ")} |`);
  }
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}
