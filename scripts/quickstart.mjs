// npm run quickstart: from a fresh clone to an answer on /health, without an engine and without root.
import { spawn, spawnSync } from "node:child_process";
import * as net from "node:net";
import * as path from "node:path";
import { ensureDependencies, root, run } from "./setup.mjs";

ensureDependencies();
run(process.execPath, ["scripts/build.mjs", "--if-needed"]);

const sheaf = path.join(root, "dist", "cli.js");
const example = path.join(root, "examples", "demeterai");
const tag = "demeterai-api:quickstart";

console.log("\n$ sheaf build examples/demeterai --image api");
run(process.execPath, [sheaf, "build", example, "--image", "api", "-t", tag]);

const port = await freePort();
console.log(`\n$ sheaf run ${tag} -p ${port}:8000`);
const image = spawn(process.execPath, [sheaf, "run", tag, "-p", `${port}:8000`], {
  cwd: root,
  stdio: ["ignore", "inherit", "inherit"],
});
const ended = new Promise((resolve) => image.once("exit", (code, signal) => resolve(code ?? signal)));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => image.kill("SIGTERM"));

const answer = await health(`http://127.0.0.1:${port}/health`);
console.log(`\n$ curl http://127.0.0.1:${port}/health`);
console.log(answer ?? "no answer within 60 s");
image.kill("SIGTERM");
const code = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 15_000, "timeout"))]);
if (code === "timeout") image.kill("SIGKILL");
console.log(`\nstopped (${code})`);

console.log("\n$ sheaf inspect");
spawnSync(process.execPath, [sheaf, "inspect", tag], { stdio: "inherit" });
const healthy = answer === '{"status":"healthy"}';
if (!healthy) console.error('error: /health did not answer {"status":"healthy"}');
process.exit(healthy && (code === 0 || code === 143) ? 0 : 1);

async function health(url) {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline && image.exitCode === null && image.signalCode === null) {
    try {
      const response = await fetch(url);
      if (response.ok) return await response.text();
    } catch {
      // It is starting.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return undefined;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
