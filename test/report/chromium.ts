import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

/** A Chromium on this machine, or why there is none to test with. */
export const chromium = findChromium();

function findChromium(): { program: string } | { missing: string } {
  for (const program of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      execFileSync(program, ["--version"], { stdio: "ignore", timeout: 20_000 });
      return { program };
    } catch {
      // The next name.
    }
  }
  return { missing: "no Chromium on PATH" };
}

interface Message {
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** A headless browser with one page, over the DevTools protocol's pipe: no port, no library. */
export class Browser {
  /** What the page wrote to its console, threw, or was refused by its policy. */
  readonly complaints: string[] = [];
  /** URLs that the page asked for, its own apart. */
  readonly requests: string[] = [];
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #input: Writable;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners = new Map<string, (() => void)[]>();
  #session = "";
  #last = 0;

  private constructor(program: string) {
    this.#folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-chromium-"));
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
    const quiet = ["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"];
    this.#process = spawn(
      program,
      [...flags, ...quiet, "--remote-debugging-pipe", `--user-data-dir=${this.#folder}`, "about:blank"],
      { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
    );
    this.#input = this.#process.stdio[3] as Writable;
    this.#read(this.#process.stdio[4] as Readable);
  }

  static async start(program: string): Promise<Browser> {
    const browser = new Browser(program);
    const { targetInfos } = await browser.send("Target.getTargets");
    const page = (targetInfos as { type: string; targetId: string }[]).find(({ type }) => type === "page");
    const targetId = page?.targetId ?? (await browser.send("Target.createTarget", { url: "about:blank" }))["targetId"];
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = String(sessionId);
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await browser.send(`${domain}.enable`);
    return browser;
  }

  async open(file: string): Promise<void> {
    this.complaints.length = 0;
    this.requests.length = 0;
    const loaded = this.#next("Page.loadEventFired");
    await this.send("Page.navigate", { url: pathToFileURL(file).href });
    await loaded;
  }

  /** Width and height in CSS pixels, and what the page's media queries see. */
  async look(options: { width: number; height: number; scheme?: "light" | "dark"; media?: "print" }): Promise<void> {
    const { width, height, scheme = "light", media = "" } = options;
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.send("Emulation.setEmulatedMedia", { media, features });
  }

  async evaluate<Value>(expression: string): Promise<Value> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, returnByValue: true });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: Value }).value;
  }

  async press(key: string): Promise<void> {
    const codes: Record<string, number> = { Enter: 13, Escape: 27, Tab: 9, ArrowRight: 39, ArrowLeft: 37, End: 35 };
    const event = { key, code: key, windowsVirtualKeyCode: codes[key] };
    await this.send("Input.dispatchKeyEvent", {
      type: "keyDown",
      ...event,
      ...(key === "Enter" ? { text: "\r" } : {}),
    });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async click(x: number, y: number): Promise<void> {
    for (const type of ["mousePressed", "mouseReleased"])
      await this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
  }

  /** A PNG of the window, or of the whole page. */
  async screenshot(whole = false): Promise<Buffer> {
    const { data } = await this.send("Page.captureScreenshot", { captureBeyondViewport: whole });
    return Buffer.from(String(data), "base64");
  }

  async send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    const answered = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    const session = this.#session === "" ? {} : { sessionId: this.#session };
    this.#input.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    const { result, error } = await answered;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#session = "";
    this.#input.write(`${JSON.stringify({ id: ++this.#last, method: "Browser.close" })}\0`);
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(timer);
    fs.rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #next(method: string): Promise<void> {
    return new Promise((resolve) => this.#listeners.set(method, [...(this.#listeners.get(method) ?? []), resolve]));
  }

  #read(output: Readable): void {
    let rest = "";
    output.setEncoding("utf8").on("data", (chunk: string) => {
      const messages = (rest + chunk).split("\0");
      rest = messages.pop() ?? "";
      for (const message of messages) this.#receive(JSON.parse(message) as Message);
    });
  }

  #receive({ id, method = "", params = {}, ...answer }: Message): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    }
    if (["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"].includes(method))
      this.complaints.push(JSON.stringify(params));
    if (method === "Network.requestWillBeSent" && params["type"] !== "Document")
      this.requests.push((params["request"] as { url: string }).url);
    for (const listener of this.#listeners.get(method)?.splice(0) ?? []) listener();
  }
}
