import { assert, nat, property, string } from "fast-check";
import { describe, expect, it, onTestFinished, vi } from "vitest";

import { SheafError, SheafErrors } from "../../src/errors.ts";
import { errorJson, errorText } from "../../src/report/error-text.ts";
import { jsonProgress, plainProgress, TerminalProgress } from "../../src/report/progress.ts";
import { alignColumns, formatBytes, printable, shorten, styleFor, visibleLength, wrap } from "../../src/report/text.ts";

const plain = styleFor({}, {});

/** A terminal that keeps what was written to it. */
function terminal(columns = 80) {
  const written: string[] = [];
  return { columns, written, write: (text: string) => written.push(text), text: () => written.join("") };
}

describe("an error", () => {
  const error = new SheafError("SHEAF_OPTION", "it went wrong", {
    details: [
      ["looked in", "app/"],
      ["at", "line 3"],
    ],
    hint: ["do this", "or that"],
  });

  it("says what happened, the facts, the next step", () => {
    expect(errorText(error, plain)).toBe(
      [
        "error: it went wrong",
        "  looked in  app/",
        "  at         line 3",
        "  try        do this",
        "             or that",
      ].join("\n"),
    );
  });

  it("is the same facts as JSON", () => {
    expect(errorJson(error)).toEqual({
      errors: [
        {
          code: "SHEAF_OPTION",
          message: "it went wrong",
          details: { "looked in": "app/", at: "line 3" },
          hints: ["do this", "or that"],
        },
      ],
    });
    expect(errorJson(new SheafErrors([error, error]))).toMatchObject({ errors: [{}, {}] });
    expect(errorJson(new TypeError("x"))).toEqual({ errors: [{ code: "SHEAF_BUG", message: "x" }] });
  });

  it("comes with others, one after another", () => {
    expect(errorText(new SheafErrors([error, error]), plain).match(/^error: /gm)).toHaveLength(2);
  });

  it("that is a bug says so and shows where", () => {
    expect(errorText(new TypeError("oh"), plain)).toMatch(/bug in Sheaf[\s\S]*TypeError: oh\n +at [\s\S]*report it/);
  });

  it("can't write to the terminal what it quotes", () => {
    const hostile = new SheafError("SHEAF_OPTION", "a\u001b[2Jb\rc", {
      details: [["\u001b]0;title\u0007", "\u009b31m"]],
    });
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(errorText(hostile, plain)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

describe("text", () => {
  it("wraps at words, within the width, and loses nothing", () => {
    assert(
      property(string(), nat(60), (text, more) => {
        const lines = wrap(text, 5 + more);
        expect(lines.every((line) => line.length <= 5 + more)).toBe(true);
        expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
      }),
    );
    expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
    expect(wrap("", 7)).toEqual([""]);
  });

  it("aligns by what is seen, colours aside", () => {
    const style = styleFor({ isTTY: true }, {});
    const rows = alignColumns(
      [
        [style.red("a"), "1"],
        ["bbb", "22"],
      ],
      [1],
    );
    expect(rows.map(visibleLength)).toEqual([7, 7]);
    expect(rows[1]).toBe("bbb  22");
  });

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [99_999, "100 kB"],
    [154_000_000, "154 MB"],
    [5_720_000_000, "5.72 GB"],
  ])("tells %i bytes as %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it("is coloured for terminals, unless the environment says otherwise", () => {
    expect(styleFor({ isTTY: true }, {}).red("x")).toBe("\u001b[31mx\u001b[39m");
    expect(styleFor({ isTTY: true }, { NO_COLOR: "1" }).red("x")).toBe("x");
    expect(styleFor({ isTTY: true }, { TERM: "dumb" }).red("x")).toBe("x");
    expect(styleFor({}, { FORCE_COLOR: "1" }).red("x")).not.toBe("x");
    expect(styleFor({}, {}).red("x")).toBe("x");
  });

  it("is cut with an ellipsis, and rid of control characters", () => {
    expect(shorten("abcdef", 4)).toBe("abc…");
    expect(shorten("abcd", 4)).toBe("abcd");
    expect(printable("a\u0007b\nc\td")).toBe("a\uFFFDb\nc\td");
  });
});

describe("progress", () => {
  const download = [
    { type: "download-start", id: "1", label: "pillow 11.0", total: 4_000_000 },
    { type: "download-progress", id: "1", received: 1_000_000 },
  ] as const;
  const end = { type: "download-end", id: "1", received: 4_000_000, reused: false } as const;

  it("is a line for each thing that is finished, in logs", () => {
    const stream = terminal();
    const { emit } = plainProgress(stream);
    emit({ type: "stage", image: "api", stage: "resolve", message: "3 distributions", seconds: 0.1 });
    for (const event of [...download, end]) emit(event);
    emit({ type: "retry", id: "1", label: "pillow 11.0", attempt: 1, reason: "503" });
    emit({ type: "warning", code: "SHEAF_DEB_STALE", message: "old\u001b[2J" });
    expect(stream.text().split("\n")).toEqual([
      "api: resolve: 3 distributions (0.10 s)",
      "fetched pillow 11.0 (4.0 MB)",
      "trying again: pillow 11.0 (503)",
      "warning: old\uFFFD[2J",
      "",
    ]);
  });

  it("is one JSON object a line", () => {
    const stream = terminal();
    for (const event of download) jsonProgress(stream).emit(event);
    expect(
      stream
        .text()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(download);
  });

  it("is drawn over on a terminal, within its width, and taken away at the end", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const stream = terminal(60);
    const progress = new TerminalProgress(stream, plain);
    for (const event of download) progress.emit(event);
    progress.emit({ type: "work-start", id: "2", group: "install", label: `a-very-long-name-${"x".repeat(80)}` });
    vi.advanceTimersByTime(150);
    expect(stream.text()).toMatch(/fetch +▓+░+ {2}0 of 1 {2}1\.0 MB of 4\.0 MB/);
    expect(stream.text()).toMatch(/install +░+ {2}0 of 1/);
    for (const line of stream.text().split("\n")) expect(line.length).toBeLessThan(60);
    progress.emit(end);
    progress.emit({ type: "stage", stage: "resolve", message: "word ".repeat(30).trim() });
    progress.stop();
    // Two lines were drawn; before anything else is written the cursor goes up again.
    expect(stream.text()).toContain("\u001b[2A\u001b[0J");
    const after = stream.text().slice(stream.text().indexOf("\u001b[0J") + 4);
    for (const line of after.split("\n")) expect(line.length).toBeLessThanOrEqual(60);
    const before = stream.text();
    vi.advanceTimersByTime(1000);
    expect(stream.text()).toBe(before);
  });
});
