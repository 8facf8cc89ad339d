import { describe, expect, it } from "vitest";
import { extrasWith, widened } from "../../src/plan/choose-extras.ts";
import { chooseImages } from "../../src/plan/choose-images.ts";
import { importErrors } from "../../src/plan/import-errors.ts";
import type { MissingImport } from "../../src/project/import-closure.ts";
import { readProject } from "../../src/project/read-project.ts";
import type { Resolution } from "../../src/resolve/resolution.ts";
import { writeRepository } from "../project/write-repository.ts";

const missing = (module: string, severity: MissingImport["severity"] = "error"): MissingImport => ({
  module,
  severity,
  chain: [{ file: "app/tasks.py", line: 3 }],
});

async function image(extras: Record<string, string[]>) {
  const lines = Object.entries(extras).map(([name, names]) => `${name} = ${JSON.stringify(names)}`);
  const root = writeRepository({
    "main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
    "noxfile.py": "",
    "pyproject.toml": `[project]\nname = "x"\n[project.optional-dependencies]\n${lines.join("\n")}\n`,
  });
  const project = await readProject(root);
  const [intent] = chooseImages(project);
  if (!intent) throw new Error("no image");
  const resolve = async (asked: typeof intent) =>
    ({
      distributions: asked.extras.value.flatMap((name) => extras[name] ?? []).map((name) => ({ name })),
    }) as Resolution;
  const find = async (modules: MissingImport[]) => {
    const offers = await extrasWith({ project, intent, missing: modules, resolve });
    return { offers, wider: widened(intent, modules, offers) };
  };
  return { project, intent, find };
}

describe("extras that the start imports", () => {
  it("are chosen where one alone brings the module, also under another name and through others", async () => {
    const { find } = await image({ ml: ["ultralytics", "torch", "opencv-python-headless"], docs: ["mkdocs"] });
    const { wider } = await find([missing("torch.nn"), missing("cv2")]);
    expect(wider?.intent.extras.value).toEqual(["ml"]);
    expect(wider?.messages).toEqual(['the extra "ml" is in the image "api": app/tasks.py:3 imports torch']);
  });

  it("are not chosen where two could be meant; the error names both", async () => {
    const { find, project } = await image({ cpu: ["torch"], gpu: ["torch"] });
    const { offers, wider } = await find([missing("torch")]);
    expect(wider).toBeUndefined();
    const [error] = importErrors([missing("torch")], { image: "api", start: ["main"], project, offers });
    expect(error?.details).toContainEqual(["it is in", 'the extra "cpu", the extra "gpu"']);
    expect(error?.hints[0]).toBe('extras = ["cpu"] in [tool.sheaf.images.api]');
  });

  it("leave extras for everything and for development aside", async () => {
    const { find } = await image({ all: ["torch"], dev: ["torch"], ml: ["torch"] });
    expect((await find([missing("torch")])).wider?.intent.extras.value).toEqual(["ml"]);
    const { find: onlyForDevelopment } = await image({ dev: ["torch"] });
    expect((await onlyForDevelopment([missing("torch")])).wider).toBeUndefined();
  });
});

describe("importErrors", () => {
  it("tells a distribution once, whatever is imported from it, and nothing that is only a note", async () => {
    const { project } = await image({});
    const modules = [missing("fastapi"), missing("fastapi.responses"), missing("ujson", "note")];
    const errors = importErrors(modules, { image: "api", start: ["main"], project, offers: new Map() });
    expect(errors.map(({ message }) => message)).toEqual([
      'main can\'t be imported in the image "api": it has no module fastapi',
    ]);
  });

  it("names the file of the repository that doesn't ship", async () => {
    const { project } = await image({});
    const [error] = importErrors([missing("noxfile")], { image: "api", start: ["main"], project, offers: new Map() });
    expect(error?.details).toContainEqual(["kept out", "noxfile.py (default: development)"]);
    expect(error?.hints[0]).toBe('include = ["noxfile.py"] in [tool.sheaf]');
  });
});
