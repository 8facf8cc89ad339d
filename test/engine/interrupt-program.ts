import { runDaemonless } from "../../src/engine/daemonless.ts";
import { forwardSignals } from "../../src/engine/forward-signals.ts";
import { silent } from "../../src/events.ts";
import { openStore } from "../../src/store/store.ts";
import { imageOf, shellLayer } from "./images.ts";

// Stands for the command line: node PROGRAM STORE SCRIPT runs the script in an image and exits with its code.
const [root = "", script = ""] = process.argv.slice(2);
const image = imageOf([shellLayer()], { User: "10001:10001", Env: ["PATH=/bin"], Cmd: ["sh", "-c", script] });
const running = await runDaemonless(image, {
  store: openStore(root),
  emit: silent,
  onOutput: (chunk) => process.stdout.write(chunk),
});
forwardSignals(running);
process.exitCode = await running.exited;
