import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { settingsFields } from "../../src/project/settings-fields.ts";

const read = (source: string) => settingsFields(new Map([["app/settings.py", source]]));

describe("settingsFields", () => {
  it("reads the fields of BaseSettings: names, defaults, what is required", () => {
    const fields = read(`
from pydantic_settings import BaseSettings, SettingsConfigDict
class Settings(BaseSettings):
    """database_url: str = 'no field'"""
    model_config = SettingsConfigDict(env_file=".env", extra="ignore")
    LEVELS: ClassVar[list[str]] = ["a"]
    database_url: str
    log_level: str = "INFO"
    debug: bool = False
    workers: int = 1_000
    size: int = Field(default=20 * 1024, gt=0)
    bucket: str | None = None
    limit: int = Field(...)
    other: str = Field("x", description="y")
    made: list[str] = Field(default_factory=list)
    _private: str = "x"
    def method(self) -> str:
        local: str = "x"
        return local
class Unrelated(BaseModel):
    field: str
`);
    expect(fields.map(({ name, required, default: value }) => [name, required, value])).toEqual([
      ["BUCKET", false, undefined],
      ["DATABASE_URL", true, undefined],
      ["DEBUG", false, "false"],
      ["LIMIT", true, undefined],
      ["LOG_LEVEL", false, "INFO"],
      ["MADE", false, undefined],
      ["OTHER", false, "x"],
      ["SIZE", false, undefined],
      ["WORKERS", false, "1000"],
    ]);
    expect(fields[1]?.source).toBe("app/settings.py:7");
  });

  it("knows prefixes, aliases and classes between", () => {
    const fields = settingsFields(
      new Map([
        ["app/base.py", "class Base(pydantic_settings.BaseSettings):\n    pass\n"],
        [
          "app/settings.py",
          'class Settings(Base):\n    host: str\n    key: str = Field(alias="THE_KEY")\n    class Config:\n        env_prefix = "APP_"\n',
        ],
      ]),
    );
    expect(fields.map(({ name }) => name)).toEqual(["APP_HOST", "THE_KEY"]);
  });

  it("reads os.environ and os.getenv, and no assignment to it", () => {
    const fields = read(`
import os
TOKEN = os.environ["SERVICE_TOKEN"]
LEVEL = os.environ.get("LEVEL", "info")
MODE = os.getenv("MODE")
os.environ["OMP_NUM_THREADS"] = "1"
name = os.environ[computed]
home = os.environ["HOME"]
`);
    expect(fields.map(({ name, required, default: value, secret }) => [name, required, value, secret])).toEqual([
      ["LEVEL", false, "info", false],
      ["MODE", false, undefined, false],
      ["SERVICE_TOKEN", true, undefined, true],
    ]);
  });

  it.each([
    ["SECRET_KEY", true],
    ["JWT_SECRET", true],
    ["POSTGRES_PASSWORD", true],
    ["AWS_SECRET_ACCESS_KEY", true],
    ["AWS_ACCESS_KEY_ID", false],
    ["OPENAI_API_KEY", true],
    ["SENTRY_DSN", true],
    ["ACCESS_TOKEN_EXPIRE_MINUTES", false],
    ["PASSWORD_MIN_LENGTH", false],
    ["KEYBOARD", false],
    ["BUCKET", false],
  ])("%s is a secret: %s", (name, secret) => {
    expect(read(`import os\nx = os.environ["${name}"]\n`)[0]).toMatchObject({ name, secret });
  });

  it("believes the type SecretStr", () => {
    expect(read("class S(BaseSettings):\n    thing: SecretStr\n")[0]).toMatchObject({ name: "THING", secret: true });
  });

  it("leaves out what no shell could set, and what the platform sets", () => {
    expect(read('class S(BaseSettings):\n    a: str = Field(alias="my-key")\n    home: str\n    port: int\n')).toEqual(
      [],
    );
  });

  it("never fails, whatever the text", () => {
    const pieces = fc.constantFrom(
      ...[
        "class S(BaseSettings):\n",
        "    a: str = ",
        "Field(",
        "alias=",
        '"x"',
        "os.environ[",
        "getenv(",
        ")",
        "]",
        "=",
      ],
      ...["...", "f'{", "'''", "(", "    env_prefix = ", "#", "\\\n", "\n", "\t", "lambda: ", ",", "\0", "ä"],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (text) => {
        for (const field of read(text.join(""))) expect(field.name).toMatch(/^[A-Za-z_]\w*$/);
      }),
    );
  });

  it("survives what Python would refuse", () => {
    expect(() => read("class S(BaseSettings:\n  x: = (\n os.environ[\n")).not.toThrow();
  });
});
