import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { SheafError } from "../../src/errors.ts";
import { Inputs } from "../../src/resolve/inputs.ts";
import { evaluateMarker, markerEnvironment } from "../../src/resolve/markers.ts";
import { parseMarker, parseRequirement } from "../../src/resolve/pep508.ts";
import { hideCredentials, logicalLines, readRequirements } from "../../src/resolve/requirements.ts";
import { parseSpecifiers, satisfies } from "../../src/resolve/specifiers.ts";
import { hashOf, makeBench, makeProject, failure, shown, target } from "./support.ts";

function read(files: Record<string, string | Uint8Array>, environment: NodeJS.ProcessEnv = {}) {
  const { root } = makeProject(files);
  return readRequirements([Object.keys(files)[0]!], new Inputs(root, environment));
}

const hash = `sha256:${hashOf("a")}`;

describe("requirements files", () => {
  it("reads what pip reads, with the line of each", () => {
    const set = read(
      {
        "reqs/api.txt": [
          "\uFEFF# comment",
          "-i https://example.test/simple --extra-index-url=https://example.test/more",
          "  fast_api[all,Extra]==1.0 ; python_version >= '3.8' \\",
          `    --hash=${hash} \\`,
          `    --hash sha256:${hashOf("b")}`,
          "    # via demo (pyproject.toml)",
          "Name.With-dots ~= 2.1 # a comment with # in it",
          "url @ https://example.test/url-1.0-py3-none-any.whl#sha256=abc",
          "-rmore.txt",
          "-c ../constraints.txt",
          "-e ./lib",
          "--no-binary :all: --only-binary=Some_Thing,other",
          "./wheels/a-1-py3-none-any.whl",
          "--pre",
        ].join("\r\n"),
        "reqs/more.txt": "-r api.txt\n-r more.txt\nlast==${VERSION} ; '${UNSET}' == ''\n",
        "constraints.txt": "fast-api<2\n-r reqs/deep.txt",
        "reqs/deep.txt": "deep==1\n",
        "reqs/lib/pyproject.toml": "",
        "wheels/a-1-py3-none-any.whl": "",
      },
      { VERSION: "3.1", UNSET: undefined },
    );
    expect(
      set.entries.map((entry) => [entry.requirement?.name ?? entry.location, entry.source, entry.hashes.length]),
    ).toEqual([
      ["fast-api", "reqs/api.txt:3", 2],
      ["name-with-dots", "reqs/api.txt:7", 0],
      ["url", "reqs/api.txt:8", 0],
      ["last", "reqs/more.txt:3", 0],
      ["reqs/lib", "reqs/api.txt:11", 0],
      ["wheels/a-1-py3-none-any.whl", "reqs/api.txt:13", 0],
    ]);
    expect(set.entries[0]).toMatchObject({
      via: ["demo"],
      requirement: { extras: ["all", "extra"], specifier: "==1.0" },
    });
    expect(set.entries[2]?.requirement?.url).toBe("https://example.test/url-1.0-py3-none-any.whl#sha256=abc");
    expect(set.entries[3]?.requirement?.specifier).toBe("==3.1");
    expect(set.entries[4]?.editable).toBe(true);
    expect(set.constraints.map((entry) => entry.requirement?.name)).toEqual(["fast-api", "deep"]);
    expect([set.indexUrl, set.extraIndexUrls]).toEqual(["https://example.test/simple", ["https://example.test/more"]]);
    expect([[...set.noBinary], [...set.onlyBinary]]).toEqual([[":all:"], ["some-thing", "other"]]);
  });

  it.each([
    ["an unknown option", "a==1\n--frobnicate x\n", "requirements.txt:2", "unknown option --frobnicate"],
    ["a broken requirement", "\n\na b c\n", "requirements.txt:3", '"a b c" is not a requirement'],
    ["a broken hash", "a==1 --hash=sha256:12\n", "requirements.txt:1", "is not a hash such as"],
    ["a file that isn't there", "a==1\n-r bse.txt\n", "requirements.txt:2", "did you mean base.txt?"],
    [
      "a URL that is included",
      "-r https://u:pw@example.test/r.txt\n",
      "requirements.txt:1",
      "https://example.test/r.txt is fetched anew",
    ],
    ["an unset variable", "a==${SHEAF_UNSET}\n", "requirements.txt:1", "SHEAF_UNSET is not set"],
    ["an option without a value", "a==1\n--hash\n", "requirements.txt:2", "--hash needs a value"],
  ])("says where %s stands", (...row) => {
    const [, text, place, message] = row;
    const error = (() => {
      try {
        read({ "requirements.txt": text, "base.txt": "" });
      } catch (thrown) {
        return thrown as SheafError;
      }
      throw new Error("nothing was thrown");
    })();
    expect(error).toBeInstanceOf(SheafError);
    expect(shown(error)).toContain(place);
    expect(shown(error)).toContain(message);
    expect(shown(error)).not.toContain("pw@");
  });

  it("reads UTF-16 with a byte-order mark, and refuses what is no text", () => {
    const text = "a==1\n# grüße\n";
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
    expect(read({ "requirements.txt": utf16 }).entries).toHaveLength(1);
    expect(() => read({ "requirements.txt": Uint8Array.of(0x61, 0xff, 0x0a) })).toThrow("is not UTF-8 text");
  });

  it("never throws anything but a SheafError, whatever the text", () => {
    const piece = fc.constantFrom(
      "a",
      "==",
      "1.0",
      " ",
      "\n",
      "\\\n",
      "--hash=",
      hash,
      ";",
      "'",
      "#",
      "[",
      "]",
      "-e",
      "${X}",
      "@",
      "-r ",
      "(",
      ",",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join("")),
        ),
        (text) => {
          for (const { line } of logicalLines(text)) {
            try {
              parseRequirement(line);
            } catch (error) {
              expect(error).toBeInstanceOf(SheafError);
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("hides user and password in every URL", () => {
    fc.assert(
      fc.property(fc.webUrl({ authoritySettings: { withUserInfo: true } }), (url) => {
        const bare = new URL(hideCredentials(url));
        expect([bare.username, bare.password]).toEqual(["", ""]);
        expect(bare.host).toBe(new URL(url).host);
      }),
    );
  });
});

describe("markers and specifiers", () => {
  const comparison = fc
    .record({
      variable: fc.constantFrom("python_version", "sys_platform", "platform_machine", "extra"),
      operator: fc.constantFrom("==", "!=", ">=", "<", "in", "not in"),
      literal: fc.constantFrom("3.8", "3.12", "linux", "x86_64", "ml"),
    })
    .map(({ variable, operator, literal }) => `${variable} ${operator} '${literal}'`);
  const { marker } = fc.letrec<{ marker: string }>((tie) => ({
    marker: fc.oneof(
      { maxDepth: 4 },
      comparison,
      fc.tuple(tie("marker"), tie("marker")).map(([a, b]) => `(${a}) and (${b})`),
      fc.tuple(tie("marker"), tie("marker")).map(([a, b]) => `(${a}) or (${b})`),
    ),
  }));
  const environment = markerEnvironment(target, { extras: ["ml"] });
  const holds = (text: string) => evaluateMarker(parseMarker(text), environment);

  it("obeys the laws of and and or", () => {
    fc.assert(
      fc.property(marker, marker, (a, b) => {
        expect(holds(`(${a}) and (${b})`)).toBe(holds(a) && holds(b));
        expect(holds(`(${a}) or (${b})`)).toBe(holds(a) || holds(b));
        // Without parentheses `and` binds tighter.
        expect(holds(`os_name == 'nt' and (${a}) or (${b})`)).toBe(holds(b));
      }),
    );
  });

  it("knows PEP 751's sets", () => {
    const both = markerEnvironment(target, { extras: ["ML_x"], groups: ["dev"] });
    const holds = (text: string) => evaluateMarker(parseMarker(text), both);
    expect(
      ["'ml-x' in extras", "'other' in extras", "'dev' in dependency_groups", "'ml-x' not in extras"].map(holds),
    ).toEqual([true, false, true, false]);
  });

  it("gives up on nesting that nobody writes", () => {
    expect(() => parseMarker(`${"(".repeat(5000)}os_name == 'a'${")".repeat(5000)}`)).toThrow(SheafError);
  });

  it("has a version on exactly one side of every split", () => {
    const version = fc
      .tuple(fc.nat(3), fc.nat(3), fc.constantFrom("", "a1", "rc2", ".dev0", ".post1"))
      .map(([major, minor, rest]) => `${major}.${minor}${rest}`);
    fc.assert(
      fc.property(version, version, (candidate, split) => {
        const sides = [`<=${split}`, `>=${split}`].filter((specifier) => satisfies(candidate, specifier));
        expect(sides.length).toBe(satisfies(candidate, `==${split}`) ? 2 : 1);
        expect(satisfies(candidate, `!=${split}`)).toBe(!satisfies(candidate, `==${split}`));
      }),
    );
    expect(parseSpecifiers("==2.3.1+cu121")?.length).toBe(1);
    expect(satisfies("2.3.1+cu121", "==2.3.1")).toBe(true);
    expect(satisfies("2.3.1+cu118", "==2.3.1+cu121")).toBe(false);
  });
});

describe("requirements as a lock", () => {
  it("takes wheels and folders of the repository, and leaves out what the markers exclude", async () => {
    const project = makeProject({
      "requirements.txt": `./wheels/a-1.0-py3-none-any.whl\n-e ./lib\n-e .\nwin==1 ; sys_platform == 'win32' --hash=${hash}\n`,
      "wheels/a-1.0-py3-none-any.whl": "wheel",
      "lib/pyproject.toml": '[project]\nname = "My_Lib"\nversion = "2"\n',
      "pyproject.toml": '[project]\nname = "demo"\nversion = "1"\n',
    });
    const { distributions, localPackages } = await makeBench({ offline: true }).resolve(project, {
      requirements: ["requirements.txt"],
    });
    expect(distributions).toMatchObject([
      { name: "a", version: "1.0", sha256: hashOf("", "wheel"), source: "requirements.txt:1" },
    ]);
    expect(localPackages).toEqual([{ name: "my-lib", version: "2", directory: "lib" }]);
  });

  it.each([
    ["two versions of one name", `a==1 --hash=${hash}\nA==2 --hash=${hash}\n`, "a is pinned to 1 and to 2"],
    ["an unpinned name among hashes", `a==1 --hash=${hash}\nb>=2\n`, "b is not pinned, though others have hashes"],
    ["a pin against a constraint", `-c c.txt\na==1 --hash=${hash}\n`, "a 1 is pinned against the constraint >=2"],
    ["a git repository", "a @ git+https://me:tok3n@example.test/a.git@main\n", "asks for a repository"],
    ["a folder outside", "-e ../\n", "lies outside the project"],
  ])("refuses %s", async (_, text, message) => {
    const project = makeProject(
      { "requirements.txt": text, "c.txt": "a>=2\n" },
      { dependencyFiles: [{ kind: "requirements", file: "requirements.txt" }] },
    );
    const error = await failure(makeBench({ offline: true }).resolve(project));
    expect(error).toBeInstanceOf(SheafError);
    expect(shown(error)).toContain(message);
    expect(shown(error)).not.toContain("tok3n");
  });
});
