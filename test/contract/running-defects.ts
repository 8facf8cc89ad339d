import type { ServerParts } from "./running-image.ts";

export interface RunningDefect {
  /** The one check that finds it. */
  id: string;
  what: string;
  /** Without an engine an image has no capability, and no network but its own, whatever it is told: these it can't do without. */
  inEnginesOnly?: true;
  spoil(parts: ServerParts): void;
}

/** What may be wrong with a running image, one thing each. */
export const runningDefects: RunningDefect[] = [
  {
    id: "runtime.user",
    what: "a server that is root",
    spoil: ({ config }) => void (config.User = "0:0"),
  },
  {
    id: "runtime.health",
    what: "a health URL that answers one after the other",
    spoil: (parts) => {
      parts.contract.answer = 1;
      at(parts, "BEFORE", "lock = threading.Lock()");
      replace(parts, "def respond(path):", "def respond(path):\n    with lock: time.sleep(0.1)");
    },
  },
  {
    id: "runtime.health",
    what: "a health URL that answers something else",
    spoil: (parts) => void (parts.contract["health-body"] = { status: "ok", version: 3 }),
  },
  {
    id: "runtime.healthcheck",
    what: "a probe that asks another port",
    spoil: ({ config }) => {
      config.Healthcheck = {
        ...config.Healthcheck,
        Test: config.Healthcheck?.Test?.map((word) => word.replace(":8000", ":8001")) ?? [],
      };
    },
  },
  {
    id: "runtime.health-negative",
    what: "a probe that always succeeds",
    spoil: ({ config }) =>
      void (config.Healthcheck = { ...config.Healthcheck, Test: ["CMD", "/bin/sh", "-c", "exit 0"] }),
  },
  {
    id: "runtime.signal-idle",
    what: "an exit code that nobody promised",
    spoil: (parts) => at(parts, "END", "sys.exit(3 if len(counted) < 3 else 0)"),
  },
  {
    id: "runtime.signal-inflight",
    what: "a server that drops what it is answering",
    spoil: (parts) => {
      replace(parts, "        client.sendall(text.encode())", "        send(client, text)");
      at(
        parts,
        "BEFORE",
        "def send(client, text):\n    client.sendall(text[:-4].encode())\n    time.sleep(0.5)\n    client.sendall(text[-4:].encode())\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(0))",
      );
    },
  },
  {
    id: "runtime.signal-inflight",
    what: "a request that takes a while and is cut off",
    spoil: (parts) => {
      parts.contract["slow-url"] = "/slow";
      at(
        parts,
        "BEFORE",
        "slow = respond\ndef respond(path):\n    if path == '/slow': time.sleep(2)\n    return slow(path)",
      );
      replace(parts, "        thread.join()", "        thread.join(0.1)");
      at(parts, "END", "os._exit(0)");
    },
  },
  {
    id: "runtime.signal-start",
    what: "an init that is deaf at first",
    spoil: (parts) => void (parts.init = `trap '' TERM\nsleep 2\n${parts.init}`),
  },
  {
    id: "runtime.start",
    what: "a start that takes its time",
    spoil: (parts) => {
      parts.contract.start = 1;
      at(parts, "START", "time.sleep(1.2)");
    },
  },
  {
    id: "runtime.start",
    what: "a server that ends at once",
    spoil: (parts) => at(parts, "START", "sys.exit('DATABASE_URL is not set')"),
  },
  {
    id: "runtime.port",
    what: "a server on loopback alone",
    spoil: (parts) => replace(parts, 'HOST = "0.0.0.0"', 'HOST = "127.0.0.1"'),
  },
  {
    id: "runtime.logs",
    what: "a Python that buffers",
    spoil: ({ config }) => void (config.Env = config.Env?.filter((line) => !line.startsWith("PYTHONUNBUFFERED"))),
  },
  {
    id: "runtime.memory",
    what: "more memory than promised",
    spoil: (parts) => void (parts.contract.memory = "1MB"),
  },
  {
    id: "runtime.zombies",
    what: "a PID 1 that waits for its own child alone",
    spoil: ({ config }) => {
      config.Entrypoint = [config.Cmd?.[0] ?? "", "-S", "-c", deafInit];
    },
  },
  {
    id: "runtime.read-only",
    what: "a server that writes into its home",
    spoil: (parts) => at(parts, "START", "if os.getuid() == 10001: open('/home/appuser/state', 'w')"),
  },
  {
    id: "runtime.arbitrary-user",
    what: "a server that wants to be somebody",
    spoil: (parts) => at(parts, "START", "if os.getuid() != 10001: sys.exit('getpwuid: uid not found')"),
  },
  {
    id: "runtime.capabilities",
    what: "a port of root's",
    inEnginesOnly: true,
    spoil: (parts) => at(parts, "START", "metrics = socket.socket()\nmetrics.bind((HOST, 80))"),
  },
  {
    id: "runtime.no-network",
    what: "a server that wants a way out",
    inEnginesOnly: true,
    spoil: (parts) =>
      at(parts, "START", "if open('/proc/net/dev').read().count(':') < 2: sys.exit('network is unreachable')"),
  },
];

const deafInit = `
import os, signal, sys
child = 0
early = []
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM) if child else early.append(1))
child = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
if early: os.kill(child, signal.SIGTERM)
_, status = os.waitpid(child, 0)
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
`;

/** Puts lines of Python where the server has a mark. */
function at(parts: ServerParts, mark: "START" | "BEFORE" | "END", lines: string): void {
  replace(parts, `# ${mark}\n`, `${lines}\n`);
}

function replace(parts: ServerParts, from: string, to: string): void {
  if (!parts.server.includes(from)) throw new Error(`the server has no ${from}`);
  parts.server = parts.server.replace(from, () => to);
}
