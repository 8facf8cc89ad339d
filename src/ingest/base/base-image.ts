import type { RootTree } from "../../filesystem/root-tree.ts";
import type { Store } from "../../store/store.ts";
import { baseFiles, type BaseFacts, type BaseFiles, treeOf } from "./facts.ts";

/** A base image of the store; its lists of files are read when they are asked for. */
export class BaseImage {
  readonly facts: BaseFacts;
  /** What the user calls it: a name such as `python:3.12-slim`, else the file's. */
  readonly reference: string;
  /** The image's own name, when it has one. */
  readonly name: string | undefined;
  readonly #store: Store;
  #files: BaseFiles | undefined;
  #tree: RootTree | undefined;

  constructor(store: Store, { facts, name, file }: { facts: BaseFacts; name?: string; file: string }) {
    this.facts = facts;
    this.name = name;
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

  get tree(): RootTree {
    return (this.#tree ??= treeOf(this.files));
  }
}
