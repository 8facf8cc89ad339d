import type { Emit, SheafEvent } from "../events.ts";
import { formatBytes, formatSeconds, printable, shorten, type Style, wrap } from "./text.ts";

/** Renders events while work is under way. `stop` leaves the terminal as it was found. */
export interface Progress {
  emit: Emit;
  stop(): void;
}

interface Terminal {
  write(text: string): unknown;
  columns?: number;
}

/** One line of JSON an event. */
export function jsonProgress(stream: Terminal): Progress {
  return { emit: (event) => stream.write(`${JSON.stringify(event)}\n`), stop: () => {} };
}

/** A line for each thing that is finished: for logs. */
export function plainProgress(stream: Terminal): Progress {
  const labels = new Map<string, string>();
  return {
    emit: (event) => {
      if (event.type === "download-start") labels.set(event.id, event.label);
      const line = plainLine(event, labels);
      if (line) stream.write(`${printable(line)}\n`);
    },
    stop: () => {},
  };
}

function plainLine(event: SheafEvent, labels: Map<string, string>): string | undefined {
  switch (event.type) {
    case "stage":
      return `${event.image ? `${event.image}: ` : ""}${event.stage}: ${event.message}${event.seconds === undefined ? "" : ` (${formatSeconds(event.seconds)})`}`;
    case "download-end":
      return event.reused ? undefined : `fetched ${labels.get(event.id) ?? event.id} (${formatBytes(event.received)})`;
    case "retry":
      return `trying again: ${event.label} (${event.reason})`;
    case "warning":
      return `warning: ${event.message}`;
    default:
      return undefined;
  }
}

interface Transfer {
  label: string;
  received: number;
  total: number | undefined;
}

/** Live lines that are drawn over: finished stages stay, bars for downloads and layers move below them. */
export class TerminalProgress implements Progress {
  readonly #stream: Terminal;
  readonly #style: Style;
  readonly #transfers = new Map<string, Transfer>();
  readonly #work = new Map<string, { done: number; total: number; label: string }>();
  #finished = 0;
  #finishedBytes = 0;
  #drawn = 0;
  #started = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Terminal, style: Style) {
    this.#stream = stream;
    this.#style = style;
  }

  emit = (event: SheafEvent): void => {
    switch (event.type) {
      case "stage":
        this.#tell(this.#style.dim(event.stage.padEnd(9)), `${event.message}${seconds(event.seconds)}`);
        break;
      case "warning":
        this.#tell(this.#style.yellow("warning  "), event.message);
        break;
      case "retry":
        this.#tell(this.#style.yellow("again    "), `${event.label}: ${event.reason}`);
        break;
      case "download-start":
        if (this.#transfers.size === 0 && this.#finished === 0) this.#started = performance.now();
        this.#transfers.set(event.id, { label: event.label, received: 0, total: event.total });
        break;
      case "download-progress": {
        const transfer = this.#transfers.get(event.id);
        if (transfer) transfer.received = event.received;
        break;
      }
      case "download-end":
        this.#transfers.delete(event.id);
        this.#finished += 1;
        this.#finishedBytes += event.received;
        break;
      case "work-start": {
        const group = this.#work.get(event.group) ?? { done: 0, total: 0, label: "" };
        this.#work.set(event.group, { ...group, total: group.total + 1, label: event.label });
        break;
      }
      case "work-end": {
        const group = this.#work.get(event.group);
        if (group) group.done += 1;
        break;
      }
    }
    // Ten frames a second: smooth for an eye, nothing for a processor.
    this.#timer ??= setTimeout(() => this.#frame(), 100).unref();
  };

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#clear();
  }

  #frame(): void {
    this.#timer = undefined;
    const lines = this.#lines();
    this.#clear();
    if (lines.length > 0) this.#stream.write(`${lines.join("\n")}\n`);
    this.#drawn = lines.length;
    if (this.#transfers.size > 0) this.#timer = setTimeout(() => this.#frame(), 200).unref();
  }

  #lines(): string[] {
    const width = Math.max(40, (this.#stream.columns ?? 80) - 1);
    const lines: string[] = [];
    if (this.#transfers.size > 0) lines.push(this.#fetchLine(width));
    for (const [group, { done, total, label }] of this.#work) {
      if (done === total) continue;
      lines.push(shorten(`  ${group.padEnd(9)} ${bar(done / total)}  ${done} of ${total}  ${printable(label)}`, width));
    }
    return lines;
  }

  #fetchLine(width: number): string {
    const transfers = [...this.#transfers.values()];
    const received = this.#finishedBytes + sum(transfers.map((each) => each.received));
    const total = this.#finishedBytes + sum(transfers.map((each) => each.total ?? each.received));
    const rate = received / Math.max(0.1, (performance.now() - this.#started) / 1000);
    const count = `${this.#finished} of ${this.#finished + transfers.length}`;
    const biggest = transfers.toSorted((a, b) => (b.total ?? 0) - (a.total ?? 0))[0];
    const text = `  fetch     ${bar(total === 0 ? 0 : received / total)}  ${count}  ${formatBytes(received)} of ${formatBytes(total)}  ${formatBytes(Math.round(rate))}/s  ${printable(biggest?.label ?? "")}`;
    return shorten(text, width);
  }

  /** A line that stays, with what does not fit below it. */
  #tell(label: string, text: string): void {
    this.#clear();
    const width = Math.max(40, this.#stream.columns ?? 80);
    const lines = wrap(printable(text), width - 12).map(
      (line, index) => `  ${index === 0 ? label : " ".repeat(9)} ${line}`,
    );
    this.#stream.write(`${lines.join("\n")}\n`);
  }

  #clear(): void {
    if (this.#drawn > 0) this.#stream.write(`\u001b[${this.#drawn}A\u001b[0J`);
    this.#drawn = 0;
  }
}

function bar(share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * 20);
  return "▓".repeat(filled) + "░".repeat(20 - filled);
}

function seconds(value: number | undefined): string {
  return value === undefined ? "" : ` (${formatSeconds(value)})`;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
