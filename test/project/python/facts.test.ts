import { describe, expect, it } from "vitest";
import { scanPython } from "../../../src/project/python/facts.ts";

const places = (source: string): string[] =>
  scanPython(source).imports.map(({ module, where }) => `${module} ${where}`);

describe("scanPython", () => {
  it("says when an import runs", () => {
    const source = `
import top
def f():
    import inside
class C:
    import in_class
try:
    import forgiven
except ImportError:
    import fallback
else:
    import after
try:
    import needed
except ImportError:
    raise RuntimeError("install it")
try:
    import wrong_handler
except ValueError: pass
finally:
    import last
if TYPE_CHECKING:
    import typed
else:
    import untyped
if not t.TYPE_CHECKING: import always
if sys.version_info < (3, 11):
    import tomli
elif x:
    import other
with suppress(ImportError):
    import suppressed
with open(x):
    import opened
match command:
    case 1:
        import matched
match = re.match(x)
async def g(): import asynchronous
import one, two.three as four; from . import five
`;
    expect(places(source)).toEqual([
      "top top",
      "inside function",
      "in_class top",
      "forgiven try",
      "fallback try",
      "after conditional",
      "needed top",
      "wrong_handler top",
      "last top",
      "typed type-checking",
      "untyped top",
      "always top",
      "tomli conditional",
      "other conditional",
      "suppressed try",
      "opened top",
      "matched conditional",
      "asynchronous function",
      "one top",
      "two.three top",
      ". top",
    ]);
  });

  it("reads names, dots, aliases and dynamic imports", () => {
    const facts = scanPython(
      "from ...a.b import (c as d,\n  e,)\nfrom x import *\nimport p.q as r, s.t\ny = importlib.import_module('lazy.mod')\n__import__('z')\n",
    );
    expect(facts.imports).toEqual([
      { module: "...a.b", names: ["c", "e"], line: 1, where: "top" },
      { module: "x", names: ["*"], line: 3, where: "top" },
      { module: "p.q", names: [], line: 4, where: "top" },
      { module: "s.t", names: [], line: 4, where: "top" },
      { module: "lazy.mod", names: [], line: 5, dynamic: true, where: "top" },
      { module: "z", names: [], line: 6, dynamic: true, where: "top" },
    ]);
    expect(Object.fromEntries(facts.aliases)).toEqual({ d: "...a.b.c", e: "...a.b.e", r: "p.q", s: "s" });
  });

  it("reads assignments, functions, classes and calls", () => {
    const facts = scanPython(`
app: FastAPI = FastAPI(title="a" "b", docs_url=None)
a = b = make(x.y, [1, "s"], k=(z))
def create(settings: Settings, *, debug=False, **kw) -> "FastAPI":
    inner = Celery("n", include=["a.b", 'c'])
    inner.conf.imports = ("d",)
    return inner
async def other() -> Optional[fastapi.FastAPI]: return await build()
class Own(FastAPI, metaclass=M):
    field = 1
app.mount("/x", sub)
x, y = 1, 2
`);
    expect(facts.assignments).toEqual([
      {
        name: "app",
        annotation: "FastAPI",
        scope: "",
        line: 2,
        value: {
          kind: "call",
          callee: "FastAPI",
          args: [],
          keywords: { title: { kind: "string", value: "ab" }, docs_url: { kind: "name", name: "None" } },
        },
      },
      ...["a", "b"].map((name) => ({
        name,
        scope: "",
        line: 3,
        value: {
          kind: "call",
          callee: "make",
          args: [
            { kind: "name", name: "x.y" },
            { kind: "list", items: [{ kind: "other" }, { kind: "string", value: "s" }] },
          ],
          keywords: { k: { kind: "name", name: "z" } },
        },
      })),
      {
        name: "inner",
        scope: "create",
        line: 5,
        value: {
          kind: "call",
          callee: "Celery",
          args: [{ kind: "string", value: "n" }],
          keywords: {
            include: {
              kind: "list",
              items: [
                { kind: "string", value: "a.b" },
                { kind: "string", value: "c" },
              ],
            },
          },
        },
      },
      {
        name: "inner.conf.imports",
        scope: "create",
        line: 6,
        value: { kind: "list", items: [{ kind: "string", value: "d" }] },
      },
    ]);
    expect(facts.functions).toEqual([
      {
        name: "create",
        line: 4,
        scope: "",
        returned: [{ kind: "name", name: "inner" }],
        required: 1,
        async: false,
        returns: "FastAPI",
      },
      {
        name: "other",
        line: 8,
        scope: "",
        returned: [{ kind: "call", callee: "build", args: [], keywords: {} }],
        required: 0,
        async: true,
        returns: "fastapi.FastAPI",
      },
    ]);
    expect(facts.classes).toEqual([{ name: "Own", line: 9, scope: "", bases: ["FastAPI"] }]);
    expect(facts.calls.map(({ call }) => call.callee)).toEqual(["app.mount"]);
    expect(facts.strings).toEqual([{ value: "a.b", line: 5 }]);
  });
});
