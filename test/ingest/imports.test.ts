import { describe, expect, it } from "vitest";

import { importedNames, type ImportPlaces } from "../../src/ingest/imports.ts";

function names(source: string, { module = "lib.plain", places = "load" as ImportPlaces } = {}): string[] {
  return importedNames(source, { module, isPackage: false, places }).toSorted();
}

describe("importedNames", () => {
  it("gives absolute names, of from-imports both readings", () => {
    expect(names("import a.b\nfrom .near import x\nfrom c import *\n")).toEqual(["a.b", "c", "lib.near", "lib.near.x"]);
  });

  it.each([
    ["functions", "def f():\n    import late\n"],
    ["what runs as a program alone", 'if __name__ == "__main__":\n    import late\n'],
    ["tables of plugins", 'ALIASES = {"redis": "late:Backend"}\n'],
  ])("leaves out %s for what loads with a module, and nothing else", (_, source) => {
    expect(names(source)).toEqual([]);
    expect(names(source, { places: "all" })).toEqual(["late"]);
  });

  it("follows names in strings, and tables of plugins of a server", () => {
    expect(names('LAZY = "celery.app"\n')).toEqual(["celery.app"]);
    const table = 'PROTOCOLS = {"auto": "uvicorn.protocols.http.auto:AutoHTTPProtocol"}\n';
    expect(names(table, { module: "uvicorn.config" })).toEqual(["uvicorn.protocols.http.auto"]);
    expect(names(table)).toEqual([]);
  });

  it("leaves out tables of Python 2's names, and what the standard library has in C", () => {
    expect(names('MovedModule("http_server", "BaseHTTPServer", "http.server")\n', { module: "lib.six" })).toEqual([]);
    const decimal = "try:\n    from _decimal import *\nexcept ImportError:\n    from _pydecimal import *\n";
    expect(names(decimal, { module: "decimal" })).toEqual(["_decimal"]);
    expect(names(decimal, { module: "decimal", places: "all" })).toEqual(["_decimal", "_pydecimal"]);
  });

  it("leaves out what only a type checker imports", () => {
    const source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import checked\n";
    expect(names(source, { places: "all" })).toEqual(["typing", "typing.TYPE_CHECKING"]);
  });
});
