/** Something wrong with an image, in words for the person who has to mend it. */
export interface ImageProblem {
  code:
    | "manifest-digest"
    | "schema-version"
    | "media-type"
    | "mixed-media-types"
    | "layer-media-type"
    | "config-digest"
    | "config-size"
    | "platform"
    | "rootfs-type"
    | "layer-count"
    | "diff-id-count"
    | "history"
    | "digest"
    | "size"
    | "diff-id"
    | "unreadable"
    | "unsafe-path"
    | "duplicate-path"
    | "hardlink-missing"
    | "hardlink-early"
    | "hardlink-cross-layer"
    | "parent-not-directory"
    | "symlink-replaced";
  severity: "error" | "warning";
  message: string;
  /** Index of the layer, base first. */
  layer?: number;
  /** As the layer has it. */
  path?: string;
}
