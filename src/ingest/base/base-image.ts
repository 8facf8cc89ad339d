import type { PythonLayout } from "../../filesystem/layout.ts";
import type { RootTree } from "../../filesystem/root-tree.ts";
import type { Store } from "../../store/store.ts";
import { baseFiles, type BaseFacts, type BaseFiles, treeOf } from "./facts.ts";

export interface BaseParts {
  facts: BaseFacts;
  name?: string;
  /** What it is called unless it has a name. */
  file: string;
  reused?: boolean;
}

/** A base image of the store; its lists of files are read when they are asked for. */
export class BaseImage {
  readonly facts: BaseFacts;
  /** What the user calls it: a name such as `python:3.12-slim`, else the file's. */
  readonly reference: string;
  /** The image's own name, when it has one. */
  readonly name: string | undefined;
  /** Whether the store had it before this run. */
  readonly reused: boolean;
  readonly #store: Store;
  #files: BaseFiles | undefined;
  #tree: RootTree | undefined;

  constructor(store: Store, { facts, name, file, reused = true }: BaseParts) {
    this.facts = facts;
    this.name = name;
    this.reused = reused;
    this.reference = name ?? file;
    this.#store = store;
  }

  /** Names what lies below the layers that go over it. */
  get key(): string {
    return this.facts.digest;
  }

  get files(): BaseFiles {
    this.#files ??= baseFiles(this.#store, this.facts.digest);
    if (!this.#files) throw new Error(`the store has no list of the files in ${this.facts.digest}`);
    return this.#files;
  }

  /** A layout whose folders are where the links of the base lead. */
  layoutOver(layout: PythonLayout): PythonLayout {
    const { tree } = this;
    const { purelib, platlib, scripts, data, include, ...rest } = layout;
    const real = tree.resolve(data);
    const links: Record<string, string> = {};
    for (const path of tree.paths()) {
      const isBelow = path.startsWith(`${real}/`) && !path.includes("/", real.length + 1);
      if (isBelow && tree.get(path)?.type === "symlink" && tree.find(path)?.type === "directory")
        links[path] = tree.resolve(path);
    }
    return {
      ...rest,
      purelib: tree.resolve(purelib),
      platlib: tree.resolve(platlib),
      scripts: tree.resolve(scripts),
      data: real,
      include: tree.resolve(include),
      ...(Object.keys(links).length > 0 ? { links } : {}),
    };
  }

  get tree(): RootTree {
    return (this.#tree ??= treeOf(this.files));
  }
}
