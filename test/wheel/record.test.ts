import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SheafError } from "../../src/errors.ts";
import { algorithmOf, formatRecord, parseRecord, recordHash } from "../../src/wheel/record.ts";

const empty = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

describe("RECORD", () => {
  it("hashes as urlsafe base64 without padding", () => {
    expect(recordHash(new Uint8Array())).toBe(empty);
  });

  it("reads quoted paths, any line ending and empty fields", () => {
    expect(parseRecord(`"a,""b"".py",${empty},0\r\nc.py,,\n\nd.py,${empty},`)).toEqual([
      { path: 'a,"b".py', hash: empty, size: 0 },
      { path: "c.py" },
      { path: "d.py", hash: empty },
    ]);
  });

  it("writes rows in the order of their code units", () => {
    expect(formatRecord([{ path: "b" }, { path: "B", hash: empty, size: 0 }, { path: "a,b" }])).toBe(
      `B,${empty},0\n"a,b",,\nb,,\n`,
    );
  });

  it("reads what it writes", () => {
    const row = fc.record({ path: fc.string({ minLength: 1 }), hash: fc.constant(empty), size: fc.nat() });
    fc.assert(
      fc.property(fc.uniqueArray(row, { selector: ({ path }) => path, maxLength: 8 }), (rows) => {
        const sorted = rows.toSorted((a, b) => (a.path < b.path ? -1 : 1));
        expect(parseRecord(formatRecord(rows))).toEqual(sorted);
      }),
    );
  });

  it.skipIf(!hasPython())("is read by Python's csv as it was written (skipped without python3)", () => {
    const paths = ["a b.py", 'quo"te.py', "com,ma.py", "été.py", "plain.py"];
    const text = formatRecord(paths.map((path) => ({ path, hash: empty, size: 0 })));
    const script =
      "import csv, io, json, sys; print(json.dumps([r[0] for r in csv.reader(io.StringIO(sys.stdin.read(), newline=''))]))";
    const read = JSON.parse(execFileSync("python3", ["-c", script], { input: text, encoding: "utf8" })) as string[];
    expect(read).toEqual(paths.toSorted());
  });

  it.each([`,${empty},0`, "a.py,sha256,0", `a.py,${empty},many`, '"a.py,,', `a.py,${empty},-1`])(
    "refuses %j",
    (text) => {
      expect(() => parseRecord(text)).toThrow(expect.objectContaining({ code: "SHEAF_WHEEL_RECORD" }));
    },
  );

  it("accepts only hashes that prove something", () => {
    expect(algorithmOf({ path: "a", hash: "SHA512=abc" })).toBe("sha512");
    expect(() => algorithmOf({ path: "a", hash: "md5=abc" })).toThrow(/md5/);
  });

  it("never throws anything but a SheafError", () => {
    const pieces = fc.constantFrom(",", '"', "\n", "\r", "a", empty, "0", "=", "é", "sha1=x");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (text) => {
        try {
          parseRecord(text.join("")).map((row) => algorithmOf(row));
        } catch (error) {
          expect(error).toBeInstanceOf(SheafError);
        }
      }),
    );
  });
});

function hasPython(): boolean {
  try {
    execFileSync("python3", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
