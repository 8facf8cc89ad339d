/** A layer of an image that was built. */
export interface RebuiltLayer {
  /** What it is, for people: `51 small packages`, `COPY app app`. */
  name: string;
  diffId: string;
}

export interface Rebuilt {
  /** Of the whole command, from its start to its end. */
  seconds: number;
  /** What names the image: the manifest's digest, or an engine's id. */
  digest: string;
  layers: RebuiltLayer[];
  /** Bytes that came over the network, where the builder tells. */
  downloaded?: number;
}

export interface BuildRequest {
  /**
   * What of earlier builds may be used. `nothing`: no layer, and no download where the builder keeps them apart; `downloads`:
   * every layer is made anew from what was downloaded; `all`: as a second build on the same machine.
   */
  cache: "nothing" | "downloads" | "all";
  /** The build is stopped then. */
  timeoutMs: number;
}

/** A way to build a project's image. Builds of one builder are after one another, and share its cache. */
export interface Builder {
  /** The command, for people: `sheaf build`. */
  name: string;
  /** What a build with `nothing` was given all the same: `base images were there`. */
  given: string;
  /** Whether the same input gives the same image, so that this can be asked of it. */
  isReproducible: boolean;
  /** Shows where a build's time goes: a command for hints. */
  look: string;
  /** @throws BuildFailed */
  build(folder: string, request: BuildRequest): Promise<Rebuilt>;
  /** Stops what runs, and removes all that was built. */
  close(): Promise<void>;
}

/** A build that gave no image. */
export class BuildFailed extends Error {
  /** The last lines that it printed. */
  readonly evidence: string[];

  constructor(message: string, evidence: string[] = []) {
    super(message);
    this.evidence = evidence;
  }
}
