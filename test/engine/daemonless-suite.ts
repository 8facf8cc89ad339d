import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, describe, expect, it } from "vitest";

import { runDaemonless, type DaemonlessOptions, type RunningImage } from "../../src/engine/daemonless.ts";
import { silent, type SheafEvent } from "../../src/events.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { imageOf, layerOf, shellLayer } from "./images.ts";

/** What any user can expect of running an image without an engine: run by the tests as root and as an ordinary user. */
export function describeDaemonless(title: string, unavailable: boolean): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-daemonless-"));
  const store = openStore(path.join(folder, "store"));
  // Tells this file's processes from those of the files beside it.
  const own = `9${process.pid}`;
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

  describe.skipIf(unavailable)(title, () => {
    it("is the image's user, PID 1, without capabilities, in its folder", async () => {
      const script =
        'id -u; id -g; echo $$; pwd; grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status; echo "$HOME:$GREETING"; umask; exit 7';
      const { code, stdout } = await output(store, { command: ["sh", "-c", script] });
      const none = ["Inh", "Prm", "Eff", "Amb"].map((set) => `Cap${set}:\t0000000000000000`);
      expect(stdout.trim().split("\n")).toEqual([
        ...["10001", "10001", "1", "/app", ...none],
        ...["/home/appuser:a b=c", "0022"],
      ]);
      expect(code).toBe(7);
    });

    it("passes the environment through unharmed, what the host's tools would obey too", async () => {
      const env = {
        LD_PRELOAD: "/nowhere.so",
        IFS: ":",
        PATH: "/bin:/x",
        QUOTE: `a'b"c\n$d`,
        SHEAF_PATH: "own",
        PWD_: "1",
      };
      const { stdout } = await output(store, { command: ["env"], env });
      const names = stdout.split("\n").map((line) => line.split("=")[0]);
      expect(stdout).toContain("LD_PRELOAD=/nowhere.so\n");
      expect(stdout).toContain("PATH=/bin:/x\n");
      expect(stdout).toContain("SHEAF_PATH=own\n");
      expect(stdout).toContain(`QUOTE=a'b"c\n$d\n`);
      expect(names).not.toContain("SHEAF_LOOPBACK");
      expect(names).not.toContain("OLDPWD");
    });

    it("refuses writes where the image gives no right to, and keeps the others off the store", async () => {
      await output(store, { command: ["true"] });
      const before = listing(path.join(store.root, "rootfs"));
      const script =
        "for f in /x /app/x /app/main.txt /bin/sh /home/y; do (echo 1 >> $f) 2>/dev/null && echo wrote $f; done;" +
        "for f in /tmp/x /home/appuser/x /dev/shm/x; do echo 1 > $f && cat $f; done; cat /etc/shadow 2>/dev/null && echo read";
      const { stdout } = await output(store, { command: ["sh", "-c", script] });
      expect(stdout).toBe("1\n1\n1\n");
      expect(listing(path.join(store.root, "rootfs"))).toEqual(before);
      expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
    });

    it("lets root inside write everywhere, in memory", async () => {
      const script =
        "id -u; echo changed > /app/main.txt; rm /etc/passwd; cat /app/main.txt; echo 1 > /proc/sys/kernel/panic";
      const first = await output(store, { command: ["sh", "-c", script], user: "root" });
      expect(first.stdout).toBe("0\nchanged\n");
      expect(first.code).not.toBe(0);
      const second = await output(store, { command: ["cat", "/app/main.txt", "/etc/passwd"], user: "root" });
      expect(second.stdout).toMatch(/^main\nroot:/);
    });

    it("is read-only on request, but for /tmp", async () => {
      const script = "touch /home/appuser/x 2>&1; touch /tmp/x && echo tmp";
      const { stdout } = await output(store, { command: ["sh", "-c", script], readOnly: true });
      expect(stdout).toMatch(/[Rr]ead-only file system\ntmp\n$/);
    });

    it("shows nothing of this machine", async () => {
      const marker = path.join(folder, "marker");
      fs.writeFileSync(marker, "");
      const script = `test -e ${marker} && echo seen; ls /proc/1/root; ls / ; ls /proc | grep -c '^[0-9]'`;
      const { stdout } = await output(store, { command: ["sh", "-c", script] });
      expect(stdout).not.toContain("seen");
      expect(stdout).toContain("app\nbin\n");
      expect(Number(stdout.trim().split("\n").at(-1))).toBeLessThan(6);
    });

    it("passes SIGTERM on to PID 1 and reports its exit code", async () => {
      const running = await start(store, {
        command: ["sh", "-c", "trap 'exit 23' TERM; echo up; while :; do sleep 0.05; done"],
      });
      await running.printed("up");
      expect(await running.image.stop()).toBe(23);
    });

    it("sends the image's own stop signal", async () => {
      const script = "trap 'exit 9' INT; echo up; while :; do sleep 0.05; done";
      const running = await start(store, { command: ["sh", "-c", script] }, { StopSignal: "SIGINT" });
      await running.printed("up");
      expect(await running.image.stop()).toBe(9);
    });

    it("kills what ignores the signal once the grace period is over, with all its children", async () => {
      const script = `trap '' TERM; sleep ${own}1 & (sleep ${own}1 &) ; echo up; while :; do sleep 0.05; done`;
      const running = await start(store, { command: ["sh", "-c", script] });
      await running.printed("up");
      await expect.poll(() => processesLike(`sleep\0${own}1`)).toHaveLength(2);
      const startedAt = performance.now();
      expect(await running.image.stop("SIGTERM", 200)).toBe(137);
      expect(performance.now() - startedAt).toBeLessThan(3000);
      expect(processesLike(`sleep\0${own}1`)).toEqual([]);
      expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
    });

    it("ends with whatever holds its namespaces", async () => {
      const running = await start(store, { command: ["sh", "-c", `echo up; sleep ${own}2`] });
      await running.printed("up");
      process.kill(parentOf(running.image.pid), "SIGKILL");
      expect(await running.image.exited).toBe(137);
      await expect.poll(() => processesLike(`sleep\0${own}2`)).toEqual([]);
    });

    it("runs commands beside the image's, as its user, in its root", async () => {
      const running = await start(store, { command: ["sh", "-c", "echo here > /tmp/file; echo up; sleep 60"] });
      await running.printed("up");
      const script = 'id -u; pwd; cat /tmp/file; grep CapEff /proc/self/status; echo "$GREETING"; echo err >&2; exit 5';
      const result = await running.image.exec(["sh", "-c", script]);
      expect(result).toEqual({
        code: 5,
        stdout: "10001\n/app\nhere\nCapEff:\t0000000000000000\na b=c\n",
        stderr: "err\n",
      });
      const late = await running.image.exec(["sh", "-c", `sleep ${own}3; true`], { timeoutMs: 200 });
      expect(late.code).toBe(124);
      await expect.poll(() => processesLike(`sleep\0${own}3`)).toEqual([]);
      expect(await running.image.stop("SIGKILL")).toBe(137);
    });

    it("turns healthy and unhealthy by the image's probe", async () => {
      const seen: string[] = [];
      const second = 1e9;
      const running = await start(
        store,
        { command: ["sh", "-c", "echo up; sleep 60"], onHealth: (status) => seen.push(status) },
        {
          Healthcheck: {
            Test: ["CMD-SHELL", "test -e /tmp/ok"],
            Interval: 0.05 * second,
            Timeout: second,
            Retries: 2,
            StartPeriod: second,
          },
        },
      );
      await running.printed("up");
      expect(running.image.health).toBe("starting");
      await running.image.exec(["touch", "/tmp/ok"]);
      await expect.poll(() => running.image.health, { timeout: 5000 }).toBe("healthy");
      await running.image.exec(["rm", "/tmp/ok"]);
      await expect.poll(() => running.image.health, { timeout: 5000 }).toBe("unhealthy");
      expect(seen).toEqual(["healthy", "unhealthy"]);
      await running.image.stop("SIGKILL");
    });

    it("has only loopback without a network", async () => {
      const { stdout } = await output(store, { command: ["cat", "/proc/net/dev"], network: false });
      const interfaces = [...stdout.matchAll(/^\s*(\S+):/gm)].map((match) => match[1]);
      expect(interfaces).toEqual(["lo"]);
    });

    it("mounts folders and files, resolved inside the image", async () => {
      const source = path.join(folder, "source");
      fs.mkdirSync(source);
      fs.writeFileSync(path.join(source, "file"), "from outside\n");
      const mounts = [
        { source, target: "/data" },
        { source, target: "/tmp/deep/data", readOnly: true },
        { source: path.join(source, "file"), target: "/out/file", readOnly: true },
      ];
      const script =
        "cat /data/file /tmp/deep/data/file /etc/file; echo new > /data/new; echo no > /tmp/deep/data/no; ls /data";
      const extra = layerOf([{ path: "out", type: "symlink", target: "../../../etc" }]);
      const { stdout } = await output(store, { command: ["sh", "-c", script], mounts }, [extra]);
      expect(stdout).toBe("from outside\nfrom outside\nfrom outside\nfile\nnew\n");
      expect(fs.readdirSync(source)).toEqual(["file", "new"]);
    });

    it("refuses a port that is taken before it starts anything", async () => {
      const server = net.createServer().listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const { port } = server.address() as net.AddressInfo;
      const run = output(store, { command: ["true"], ports: [{ host: port, container: port }] });
      await expect(run).rejects.toMatchObject({ code: "SHEAF_PORT", message: expect.stringContaining(String(port)) });
      server.close();
    });

    it("forwards another port of the host to the image's", async () => {
      const [host, container] = [await freePort(), await freePort()];
      const running = await start(store, { command: ["sh", "-c", "echo up; sleep 60"], ports: [{ host, container }] });
      // The network is shared, so a server out here stands for one in there.
      const server = net.createServer((socket) => socket.end("hello")).listen(container, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const chunks = await net.connect(host, "127.0.0.1").toArray();
      expect(Buffer.concat(chunks).toString()).toBe("hello");
      server.close();
      await running.image.stop("SIGKILL");
      await expect(net.connect(host, "127.0.0.1").toArray()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    });

    it("says what an image without the command would have run", async () => {
      const { code, stderr } = await output(store, { command: ["no-such-program"] });
      expect(code).toBe(127);
      expect(stderr).toContain("no-such-program");
    });

    it("runs several at once from one root file system", async () => {
      const script = "echo $0 > /home/appuser/own; sleep 0.1; cat /home/appuser/own";
      const outputs = await Promise.all(
        ["a", "b", "c", "d"].map((name) => output(store, { command: ["sh", "-c", script, name] })),
      );
      expect(outputs.map((each) => each.stdout)).toEqual(["a\n", "b\n", "c\n", "d\n"]);
    });
  });
}

const config: RuntimeConfig = {
  User: "10001:10001",
  Env: ["PATH=/bin", "GREETING=a b=c"],
  WorkingDir: "/app",
};

type Options = Partial<DaemonlessOptions>;

async function output(
  store: Store,
  options: Options,
  layers: ReturnType<typeof layerOf>[] = [],
): Promise<{ code: number; stdout: string; stderr: string; events: SheafEvent[] }> {
  const texts = { stdout: "", stderr: "" };
  const events: SheafEvent[] = [];
  const running = await runDaemonless(imageOf([shellLayer(), ...layers], config), {
    store,
    emit: (event) => events.push(event),
    onOutput: (chunk, stream) => (texts[stream] += Buffer.from(chunk).toString()),
    ...options,
  });
  return { code: await running.exited, ...texts, events };
}

interface Started {
  image: RunningImage;
  printed(text: string): Promise<void>;
}

async function start(store: Store, options: Options, more: RuntimeConfig = {}): Promise<Started> {
  let text = "";
  const image = await runDaemonless(imageOf([shellLayer()], { ...config, ...more }), {
    store,
    emit: silent,
    onOutput: (chunk) => (text += Buffer.from(chunk).toString()),
    ...options,
  });
  const printed = async (wanted: string) => {
    for (let tries = 0; !text.includes(wanted) && tries < 500; tries++) await sleep(10);
    expect(text).toContain(wanted);
  };
  return { image, printed };
}

/** Every file below a folder with what tells a change: size, mode and time. The time of a tree says when it was last used. */
function listing(folder: string): string[] {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    const stat = fs.lstatSync(file);
    const time = path.basename(folder) === "trees" ? 0 : stat.mtimeMs;
    const facts = `${file} ${stat.size} ${stat.mode.toString(8)} ${time}`;
    return [facts, ...(entry.isDirectory() ? listing(file) : [])];
  });
}

/** PIDs of living processes whose arguments, joined by NUL, hold a text. */
export function processesLike(text: string): number[] {
  return fs.readdirSync("/proc").flatMap((name) => {
    try {
      return /^\d+$/.test(name) && fs.readFileSync(`/proc/${name}/cmdline`, "utf8").startsWith(text)
        ? [Number(name)]
        : [];
    } catch {
      return [];
    }
  });
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
