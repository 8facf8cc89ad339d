// Plans, builds and runs repositories that are not Sheaf's: one row of docs/compatibility.md each.
//
//   node bench/compatibility.mjs FOLDER… [--seconds 15] [--env-file FILE]
//
// FILE is JSON: { "<folder's name>": { "NAME": "value" } }, what each application needs from outside to answer.
import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const sheaf = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "15" }, "env-file": { type: "string" } },
});
if (positionals.length === 0) {
  console.error("usage: node bench/compatibility.mjs FOLDER… [--seconds 15] [--env-file FILE]");
  process.exit(2);
}
const environments = values["env-file"] ? JSON.parse(fs.readFileSync(values["env-file"], "utf8")) : {};

console.log("| repository | uses | plan | build | size | run |\n|---|---|---|---|---|---|");
for (const folder of positionals) console.log(`| ${(await rowOf(folder)).join(" | ")} |`);

async function rowOf(folder) {
  const name = path.basename(path.resolve(folder));
  const planned = await ask(["plan", folder, "--json", "-q"]);
  if (!planned.images) return [name, "", `no: ${planned.error}`, "", "", ""];
  const [first] = planned.images;
  const built = await ask(["build", folder, "--json", "-q"]);
  const uses = `${first.resolution.source}, Python ${first.python.version.split(".").slice(0, 2).join(".")}`;
  const plan = planned.images.map((image) => image.name).join(", ");
  if (!built.images) return [name, uses, plan, `no: ${built.error}`, "", ""];
  const sizes = built.images.map(({ size }) => `${Math.round(size.unpacked / 1e6)} MB`).join(", ");
  const runs = [];
  for (const image of planned.images) runs.push(`${image.name}: ${await run(folder, image, environments[name] ?? {})}`);
  return [name, uses, plan, "yes", sizes, runs.join("; ")];
}

async function ask(words) {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [sheaf, ...words], { maxBuffer: 2 ** 30 });
    return JSON.parse(stdout);
  } catch (error) {
    const text = `${error.stdout ?? ""}`;
    return {
      error: text.startsWith("{") ? JSON.parse(text).errors?.[0]?.message : `${error.stderr ?? error}`.slice(-200),
    };
  }
}

/** Starts an image without an engine; an API is well when it answers, anything else when it stays. */
async function run(folder, image, environment) {
  const tag = `compatibility-${path
    .basename(path.resolve(folder))
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")}-${image.name}:latest`;
  const tagged = await ask(["build", folder, "--image", image.name, "-t", tag, "--json", "-q"]);
  if (!tagged.images) return `no: ${tagged.error}`;
  const inside = image.config.ports[0]?.value;
  const port = inside === undefined ? undefined : await freePort();
  const child = spawn(
    process.execPath,
    [
      sheaf,
      "run",
      tag,
      "--engine",
      "none",
      ...(port === undefined ? [] : ["-p", `${port}:${inside}`]),
      ...Object.entries(environment).flatMap(([key, value]) => ["-e", `${key}=${value}`]),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  let code;
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes) => (output = (output + bytes).slice(-8000)));
  const exited = new Promise((resolve) => child.on("exit", (status) => resolve((code = status ?? -1))));
  const answer = await waitFor(port, () => code !== undefined);
  const early = code !== undefined;
  if (!early) child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await exited;
  clearTimeout(killer);
  if (answer) return `answers ${answer}`;
  const last = output.trim().split("\n").filter(Boolean).at(-1) ?? "";
  return early ? `ends with ${code}: ${last.slice(0, 160)}` : `runs, ${port === undefined ? "no port" : "no answer"}`;
}

async function waitFor(port, ended) {
  let refusal;
  const end = Date.now() + Number(values.seconds) * 1000;
  while (Date.now() < end && !ended()) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (port === undefined) continue;
    for (const route of ["/docs", "/openapi.json", "/health", "/"]) {
      const status = await fetch(`http://127.0.0.1:${port}${route}`, {
        redirect: "manual",
        signal: AbortSignal.timeout(3000),
      }).then(
        (response) => response.status,
        () => undefined,
      );
      if (status !== undefined && status < 400) return `${route} ${status}`;
      refusal = status ?? refusal;
    }
    // It serves, only nothing that is asked for here.
    if (refusal !== undefined) return `/ ${refusal}`;
  }
  return undefined;
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
