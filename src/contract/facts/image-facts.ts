import { RootTree } from "../../filesystem/root-tree.ts";
import type { ImageProblem } from "../../oci/image-problem.ts";
import type { FileFact, LayerFacts, LostFile } from "./file-fact.ts";

/** A file that looks like a secret, in whichever layer. */
export interface FoundSecret {
  path: string;
  layer: number;
  reason: string;
}

/** What one pass over the layers found. */
export interface ReadImage {
  /** The merged file system, by path. */
  files: ReadonlyMap<string, FileFact>;
  /** In every layer, deleted ones too. */
  secrets: FoundSecret[];
  lost: LostFile[];
  layers: LayerFacts[];
  /** What is broken in the format. */
  problems: ImageProblem[];
}

/** What checks ask of an image's content. Anything derived is computed when it is first asked for, and kept. */
export class ImageFacts implements ReadImage {
  readonly files: ReadonlyMap<string, FileFact>;
  readonly secrets: FoundSecret[];
  readonly lost: LostFile[];
  readonly layers: LayerFacts[];
  readonly problems: ImageProblem[];
  readonly tree: RootTree;
  readonly #derived = new Map<unknown, unknown>();

  constructor({ files, secrets, lost, layers, problems }: ReadImage) {
    this.files = files;
    this.secrets = secrets;
    this.lost = lost;
    this.layers = layers;
    this.problems = problems;
    this.tree = new RootTree(files);
  }

  /** What a path leads to, links followed. */
  find(path: string): FileFact | undefined {
    return this.files.get(this.tree.resolve(path.replace(/^\/+/, "")));
  }

  /** Content of a file that the reading rules keep, links followed. */
  text(path: string): string | undefined {
    return textOf(this.find(path));
  }

  /** What `derive` makes of these facts, made once. */
  derived<Value>(derive: (facts: ImageFacts) => Value): Value {
    if (!this.#derived.has(derive)) this.#derived.set(derive, derive(this));
    return this.#derived.get(derive) as Value;
  }
}

/** What was kept of a file, as UTF-8. */
export function textOf(file: FileFact | undefined): string | undefined {
  return file?.text === undefined ? undefined : Buffer.from(file.text, "latin1").toString("utf8");
}
