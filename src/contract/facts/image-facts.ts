import { RootTree } from "../../filesystem/root-tree.ts";
import type { ImageProblem } from "../../oci/image-problem.ts";
import type { FileFact, LayerFacts, LostFile } from "./file-fact.ts";

/** What one pass over the layers found. */
export interface ReadImage {
  /** The merged file system, by path. */
  files: ReadonlyMap<string, FileFact>;
  /** Every file of every layer that looks like a secret, deleted ones too. */
  secrets: { path: string; layer: number; reason: string }[];
  lost: LostFile[];
  layers: LayerFacts[];
  /** What is broken in the format. */
  problems: ImageProblem[];
}

/** What checks ask of an image's content. Anything derived is computed when it is first asked for, and kept. */
export class ImageFacts {
  readonly files: ReadonlyMap<string, FileFact>;
  readonly secrets: ReadImage["secrets"];
  readonly lost: readonly LostFile[];
  readonly layers: readonly LayerFacts[];
  readonly problems: readonly ImageProblem[];
  readonly tree: RootTree;
  readonly #derived = new Map<unknown, unknown>();

  constructor({ files, secrets, lost, layers, problems }: ReadImage) {
    this.files = files;
    this.secrets = secrets;
    this.lost = lost;
    this.layers = layers;
    this.problems = problems;
    this.tree = new RootTree(
      new Map([...files].map(([path, file]) => [path, { ...file, type: treeTypes[file.type] }])),
    );
  }

  /** What a path leads to, links followed. */
  find(path: string): FileFact | undefined {
    return this.files.get(this.tree.resolve(path.replace(/^\/+/, "")));
  }

  /** Content of a file that the reading rules keep, links followed. */
  text(path: string): string | undefined {
    const text = this.find(path)?.text;
    return text === undefined ? undefined : Buffer.from(text, "latin1").toString("utf8");
  }

  /** What `derive` makes of these facts, made once. */
  derived<Value>(derive: (facts: ImageFacts) => Value): Value {
    if (!this.#derived.has(derive)) this.#derived.set(derive, derive(this));
    return this.#derived.get(derive) as Value;
  }
}

const treeTypes = {
  file: "file",
  directory: "directory",
  symlink: "symlink",
  character: "other",
  block: "other",
  fifo: "other",
} as const;
