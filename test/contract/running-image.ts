import { execFileSync } from "node:child_process";
import * as fs from "node:fs";

import { resolveContract } from "../../src/contract/contract.ts";
import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { interestOf } from "../../src/contract/interest.ts";
import type { Runtime } from "../../src/contract/running/runtime.ts";
import { openSession } from "../../src/contract/running/open-session.ts";
import { type Verification, verifyImage } from "../../src/contract/verify-image.ts";
import { silent } from "../../src/events.ts";
import type { Image, Layer } from "../../src/oci/image.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import type { ContractSettings } from "../../src/project/config/schema.ts";
import { openStore } from "../../src/store/store.ts";
import { imageOf, layerOf, librariesOf, shellLayer } from "../engine/images.ts";
import { pythonWith } from "../lab/lab.ts";

/** A small server as an image: this machine's shell and Python, an init, and a program that answers /health. To be spoilt. */
export interface ServerParts {
  config: RuntimeConfig;
  contract: ContractSettings;
  /** Python, in the place of what the good one does. */
  server: string;
  /** PID 1, a shell script that gets the server's words. */
  init: string;
}

/** Debian's own before others, which may be scripts that choose one. */
const hostPython = ["/usr/bin/python3"].find((file) => fs.existsSync(file)) ?? pythonWith("socket", "threading");

/** Whether there is what these images are made of. */
export const canBuildServers = hostPython !== undefined;

const home = "/opt/python";
const python = `${home}/bin/python3`;

export function serverParts(): ServerParts {
  return {
    config: {
      User: "10001:10001",
      Env: ["PATH=/opt/python/bin:/bin", "PYTHONUNBUFFERED=1", `PYTHONHOME=${home}`],
      WorkingDir: "/app",
      ExposedPorts: { "8000/tcp": {} },
      Entrypoint: ["/bin/sh", "/app/init.sh"],
      Cmd: [python, "-S", "/app/server.py"],
      Healthcheck: {
        Test: ["CMD", python, "-S", "/app/probe.py", "http://127.0.0.1:8000/health"],
        Interval: 30e9,
        Timeout: 3e9,
        StartPeriod: 40e9,
        Retries: 3,
      },
    },
    contract: { role: "api", starts: 1, stop: 5, start: 20, "health-url": "/health" },
    server,
    init,
  };
}

export function buildServer({ config, server: program, init: script }: ServerParts): Image {
  const app = layerOf([
    { path: "app/server.py", data: program },
    { path: "app/probe.py", data: probe },
    { path: "app/init.sh", data: script },
    { path: "tmp", type: "directory", mode: 0o1777 },
  ]);
  return imageOf([shellLayer(), pythonLayer(), app], config);
}

interface Where {
  engine: Runtime["kind"];
  /** A store's. */
  folder: string;
  signal?: AbortSignal;
}

/** Holds a server to its contract in one runtime. */
export function verifyServer(parts: ServerParts, where: Where): Promise<Verification> {
  return verifyRunning(buildServer(parts), parts.contract, where);
}

/** Holds an image to a contract in one runtime. */
export async function verifyRunning(
  image: Image,
  settings: ContractSettings,
  { engine, folder, signal = new AbortController().signal }: Where,
): Promise<Verification> {
  const runtime = image.config.config ?? {};
  const contract = resolveContract({ name: "server", runtime, config: { contract: settings } });
  const facts = await readImageFacts(image, { interest: interestOf(contract, runtime), signal });
  const store = openStore(folder);
  // Tests keep the machine busy themselves.
  const takenByOthers = async () => 0;
  const session = await openSession({ image, contract, facts, store, engine, emit: silent, signal, takenByOthers });
  if (typeof session === "string") throw new Error(session);
  try {
    return await verifyImage({ name: "server", image, facts, contract, session, signal });
  } finally {
    await session.close();
  }
}

/** A shell that starts the server, passes the stop signal on, and reaps what is left to it. */
const init = `pid=
trap 'if [ -n "$pid" ]; then kill -TERM "$pid"; else exit 143; fi' TERM
"$@" &
pid=$!
wait "$pid"
code=$?
while kill -0 "$pid" 2>/dev/null; do wait "$pid"; code=$?; done
exit "$code"
`;

/** Answers /health while it is well, and what has arrived before it stops. */
const server = `
import os, select, signal, socket, sys, threading, time

stopping = False

def stop(number, frame):
    global stopping
    stopping = True

signal.signal(signal.SIGTERM, stop)
HOST = "0.0.0.0"
# START
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((HOST, 8000))
listener.listen(64)
print("listening", flush=True)

def answer(client):
    try:
        head = client.recv(65536).decode("latin1")
        path = head.split(" ")[1] if " " in head else ""
        status, body = respond(path)
        text = "HTTP/1.1 %s\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s" % (status, len(body), body)
        client.sendall(text.encode())
    except OSError:
        pass
    finally:
        client.close()
        counted.append(path)

counted = []

def respond(path):
    return ("200 OK", '{"status": "ok", "version": 2}') if path == "/health" else ("404 Not Found", "no")

deadline = None
# BEFORE
while True:
    ready, _, _ = select.select([listener], [], [], 0.05)
    if ready:
        client, _ = listener.accept()
        threading.Thread(target=answer, args=(client,)).start()
    if stopping:
        deadline = deadline or time.monotonic() + 0.2
        if not ready or time.monotonic() > deadline:
            break
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
print("stopped", flush=True)
# END
`;

const probe = `
import socket, sys

host, _, path = sys.argv[1].removeprefix("http://").partition("/")
name, port = host.split(":")
with socket.create_connection((name, int(port)), 0.7) as client:
    client.settimeout(0.7)
    client.sendall(b"GET /%s HTTP/1.0\\r\\n\\r\\n" % path.encode())
    status = client.recv(100).split(b" ")[1]
print(status.decode())
sys.exit(status != b"200")
`;

let cachedPython: Layer | undefined;

/** This machine's interpreter, and of its library what the programs above import, in a folder of their own. */
function pythonLayer(): Layer {
  if (!cachedPython) {
    const { binary, prefix, files } = JSON.parse(ask(listing)) as { binary: string; prefix: string; files: string[] };
    const own = files.filter((file) => file.startsWith(`${prefix}/`));
    cachedPython = layerOf([
      { path: python.slice(1), data: fs.readFileSync(binary), mode: 0o755 },
      ...own.map((file) => ({ path: `${home}${file.slice(prefix.length)}`.slice(1), data: fs.readFileSync(file) })),
      ...librariesOf([binary, ...own.filter((file) => file.endsWith(".so"))]),
    ]);
  }
  return cachedPython;
}

const listing = `
import sys, os, json, socket, threading, signal, select, time, encodings.idna, encodings.latin_1, subprocess
names = [getattr(module, "__file__", None) for module in sys.modules.values()]
files = sorted({os.path.realpath(name) for name in names if name and os.path.isfile(name)})
print(json.dumps({"binary": os.path.realpath(sys.executable), "prefix": sys.base_prefix, "files": files}))
`;

function ask(program: string): string {
  return execFileSync(hostPython ?? "", ["-I", "-S", "-c", program], { encoding: "utf8" });
}
