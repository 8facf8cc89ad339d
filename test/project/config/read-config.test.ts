import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SheafError } from "../../../src/errors.ts";
import { didYouMean } from "../../../src/did-you-mean.ts";
import { parseSize } from "../../../src/project/config/parse-size.ts";
import { configJsonSchema, readConfig } from "../../../src/project/config/read-config.ts";

const read = (files: Record<string, string>) => readConfig(["", "backend"], (path) => files[path]);

async function refusal(files: Record<string, string>): Promise<SheafError> {
  const error: unknown = await read(files).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SheafError)) throw new Error("was not refused", { cause: error });
  return error;
}

describe("readConfig", () => {
  it("reads [tool.sheaf], sheaf.toml, and nothing", async () => {
    const table = 'python = "3.12"\n[images.api]\nbudget = "300MB"\nhealth = false\n';
    const expected = { python: "3.12", images: { api: { budget: "300MB", health: false } } };
    expect(await read({ "sheaf.toml": table })).toEqual({ config: expected, file: "sheaf.toml" });
    const pyproject =
      '[project]\nname = "x"\n[tool.sheaf]\npython = "3.12"\n[tool.sheaf.images.api]\nbudget = "300MB"\nhealth = false\n';
    expect(await read({ "backend/pyproject.toml": pyproject })).toEqual({
      config: expected,
      file: "backend/pyproject.toml",
    });
    expect(await read({ "pyproject.toml": "[project]\nname = 'sheaf'\n" })).toEqual({ config: {} });
  });

  it("tells every problem at once, with key path, line and suggestion", async () => {
    const error = await refusal({
      "pyproject.toml": `[tool.sheaf]
python = 3.12
budget = "1GB"
platforms = ["linux/amd64", "windows/amd64"]
[tool.sheaf.images.api]
comand = ["x"]
budget = "300 potatoes"
health = "localhost"
app = "app.main"
port = 99999
role = "wroker"
command = []
env = { "A B" = "x" }
[tool.sheaf.images.Bad]
frobnicate = 1
`,
    });
    expect(error.code).toBe("SHEAF_CONFIG");
    expect(error.message).toBe("pyproject.toml has 13 problems in [tool.sheaf]");
    expect(error.details.map(([path, text]) => `${path}: ${text}`)).toEqual([
      "python: expected a string, found 3.12  (line 2)",
      "budget: unknown key here, it belongs to an image: images.api.budget  (line 3)",
      'platforms.1: "windows/amd64" is not a platform that Sheaf builds for: linux/amd64, linux/arm64  (line 4)',
      "images.api.comand: unknown key, did you mean command?  (line 6)",
      'images.api.budget: "300 potatoes" is not a size, for example "300MB"  (line 7)',
      'images.api.health: "localhost" is not a URL, for example "http://localhost:8000/health"  (line 8)',
      'images.api.app: "app.main" is not a module and an attribute, for example "app.main:app" or "app.main:create_app()"  (line 9)',
      "images.api.port: 99999 is above 65535  (line 10)",
      'images.api.role: "wroker" is none of api, worker, beat, flower, other, did you mean worker?  (line 11)',
      "images.api.command: must not be empty  (line 12)",
      'images.api.env.A B: "A B" is not a name of an environment variable  (line 13)',
      "images.Bad: is not an image name: lower-case letters, digits and single . _ - between them  (line 14)",
      expect.stringMatching(
        /^images\.Bad\.frobnicate: unknown key, known are kind, role, app, command, .*  \(line 15\)$/,
      ) as string,
    ]);
  });

  it("refuses two places", async () => {
    const error = await refusal({ "pyproject.toml": "[tool.sheaf]\n", "sheaf.toml": "" });
    expect(error.code).toBe("SHEAF_CONFIG_TWICE");
    expect(error.message).toBe("both pyproject.toml and sheaf.toml configure Sheaf");
  });

  it("shows the line and column of what isn't TOML", async () => {
    const error = await refusal({ "sheaf.toml": 'python = "3.12"\nshell = maybe\n' });
    expect(error.code).toBe("SHEAF_TOML");
    expect(error.message).toMatch(/^sheaf\.toml:2:9 is not TOML: /);
    expect(error.details).toEqual([
      ["line 2", "shell = maybe"],
      ["", "        ^"],
    ]);
  });

  it("remembers what is valid, and not what isn't", async () => {
    const records = new Map<string, unknown>();
    const store = {
      readRecord: <T>(_: string, key: string) => records.get(key) as T | undefined,
      writeRecord: (_: string, key: string, value: unknown) => void records.set(key, value),
    };
    const readWith = (text: string) => readConfig([""], (path) => (path === "sheaf.toml" ? text : undefined), store);
    await readWith('python = "3.12"');
    expect(records.size).toBe(1);
    expect((await readWith('python = "3.12"')).config).toEqual({ python: "3.12" });
    await expect(readWith("python = 3")).rejects.toThrow(/a problem/);
    expect(records.size).toBe(1);
  });

  it("gives a JSON Schema that knows every key", async () => {
    const schema = await configJsonSchema();
    expect(schema).toMatchObject({
      type: "object",
      additionalProperties: false,
      properties: { python: { type: "string" }, images: { additionalProperties: { properties: { budget: {} } } } },
    });
  });
});

describe("parseSize", () => {
  it.each([
    ["300MB", 300_000_000],
    ["300 MB", 300_000_000],
    ["300m", 300_000_000],
    ["1.5GiB", 1_610_612_736],
    ["1k", 1000],
    ["12", 12],
    ["12B", 12],
    ["300 potatoes", undefined],
    ["-1MB", undefined],
    ["", undefined],
    ["9999999999TB", undefined],
  ])("%j is %s", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
});

describe("didYouMean", () => {
  it.each([
    ["comand", "command"],
    ["helath", "health"],
    ["app_env", "app-env"],
    ["BUDGET", "budget"],
    ["xyz", undefined],
  ])("%s: %s", (word, expected) => {
    expect(didYouMean(word, ["command", "health", "app-env", "budget", "env"])).toBe(expected);
  });

  it("always finds a word with one character changed", () => {
    const word = fc.stringMatching(/^[a-z]{4,12}$/);
    fc.assert(
      fc.property(word, fc.nat(), (text, at) => {
        const index = at % text.length;
        expect(didYouMean(`${text.slice(0, index)}#${text.slice(index + 1)}`, [text])).toBe(text);
        expect(didYouMean(text.slice(0, index) + text.slice(index + 1), [text])).toBe(text);
      }),
    );
  });
});
