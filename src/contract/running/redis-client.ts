import * as net from "node:net";

/** What Redis answers: a status or a bulk string, a number, nothing, or several of them. */
export type Reply = string | number | null | Reply[];

const answerMs = 5000;

/** Talks to a Redis over one connection, one command after the other (RESP2). */
export class RedisClient {
  readonly #socket: net.Socket;
  #unread = Buffer.alloc(0);
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#unread = Buffer.concat([this.#unread, chunk]);
      this.#settle();
    });
    socket.on("error", (error) => this.#waiting?.reject(error));
    socket.on("close", () => this.#waiting?.reject(new Error("Redis closed the connection")));
  }

  /** @throws Error when nothing answers on the port of 127.0.0.1 */
  static async connect(port: number): Promise<RedisClient> {
    const socket = net.connect({ port, host: "127.0.0.1" });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new RedisClient(socket);
  }

  /** @throws Error with Redis' own words, or when it does not answer within 5 s */
  async ask(...words: string[]): Promise<Reply> {
    if (this.#waiting) throw new Error("Redis is asked one thing at a time");
    const text = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Reply>((resolve, reject) => {
        this.#waiting = { resolve, reject };
        timer = setTimeout(() => reject(new Error(`Redis did not answer ${words[0]}`)), answerMs);
        this.#socket.write(`*${words.length}\r\n${text}`);
      });
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #settle(): void {
    const read = readReply(this.#unread, 0);
    if (!read || !this.#waiting) return;
    this.#unread = this.#unread.subarray(read.end);
    if (read.reply instanceof Error) this.#waiting.reject(read.reply);
    else this.#waiting.resolve(read.reply);
  }
}

interface Read {
  reply: Reply | Error;
  end: number;
}

/** The reply at an offset, undefined while some of it is on its way. */
export function readReply(bytes: Buffer, start: number): Read | undefined {
  const lineEnd = bytes.indexOf("\r\n", start, "latin1");
  if (lineEnd === -1) return undefined;
  const kind = String.fromCharCode(bytes[start] ?? 0);
  const text = bytes.toString("utf8", start + 1, lineEnd);
  const end = lineEnd + 2;
  if (kind === "+") return { reply: text, end };
  if (kind === "-") return { reply: new Error(text), end };
  if (kind === ":") return { reply: Number(text), end };
  const count = Number(text);
  if ((kind !== "$" && kind !== "*") || !Number.isInteger(count)) return { reply: new Error(`no RESP: ${text}`), end };
  if (count < 0) return { reply: null, end };
  if (kind === "$") {
    if (bytes.length < end + count + 2) return undefined;
    return { reply: bytes.toString("utf8", end, end + count), end: end + count + 2 };
  }
  return readArray(bytes, end, count);
}

function readArray(bytes: Buffer, start: number, count: number): Read | undefined {
  const replies: Reply[] = [];
  let end = start;
  while (replies.length < count) {
    const read = readReply(bytes, end);
    if (!read || read.reply instanceof Error) return read;
    replies.push(read.reply);
    ({ end } = read);
  }
  return { reply: replies, end };
}
