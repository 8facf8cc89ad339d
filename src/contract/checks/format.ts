import type { StaticCheck, StaticContext } from "../check.ts";
import { fail, type Finding, pass, warn } from "../finding.ts";
import type { ImageProblem } from "../../oci/image-problem.ts";

type Code = ImageProblem["code"];

interface FormatCheck extends Omit<StaticCheck, "run"> {
  codes: readonly Code[];
  fine: (context: StaticContext) => string;
  hint: string;
}

const layersOf = ({ image }: StaticContext): string => {
  const count = image.layers.length;
  return `${count} ${count === 1 ? "layer" : "layers"}`;
};

/** One row of the validator's table each: no single tool that reads images finds all of them. */
const table: FormatCheck[] = [
  {
    id: "format.readable",
    title: "every layer can be unpacked to its end",
    holds: "Each layer is decompressed and read as a tar archive to its last byte.",
    why: "A layer that is cut short or damaged fails when it is pulled, or leaves files out without a word.",
    sources: ["image-spec, layer.md", "POSIX.1-2017, pax: ustar interchange format"],
    codes: ["unreadable"],
    fine: (context) => `${layersOf(context)} read`,
    hint: "build or fetch the image again; a layer in another compression has to be written anew",
  },
  {
    id: "format.digests",
    title: "every blob is what its digest says",
    holds: "SHA-256 of the manifest, the config and every layer's blob, compared with what names them.",
    why: "Registries refuse a blob that isn't what its name says, and docker load (20.10) doesn't notice.",
    sources: ["image-spec, descriptor.md#digests"],
    codes: ["manifest-digest", "config-digest", "digest"],
    fine: (context) => `manifest, config and ${layersOf(context)} hashed`,
    hint: "write the image again: a tool changed bytes and kept the name",
  },
  {
    id: "format.sizes",
    title: "every blob has the size that the manifest says",
    holds: "Bytes of the config and of every layer's blob, compared with the descriptors in the manifest.",
    why: "Clients stop reading at the stated size, registries refuse the push; skopeo and Docker don't notice.",
    sources: ["image-spec, descriptor.md#properties"],
    codes: ["config-size", "size"],
    fine: layersOf,
    hint: "write the image again with a tool that counts what it writes",
  },
  {
    id: "format.diff-ids",
    title: "every layer unpacks to the diffID that the config says",
    holds: "SHA-256 of each unpacked layer, and their number, compared with rootfs.diff_ids.",
    why: "Engines check it when they unpack, and refuse the image then.",
    sources: ["image-spec, config.md#layer-diffid"],
    codes: ["diff-id", "diff-id-count"],
    fine: layersOf,
    hint: "write the config again: its diff_ids are of other layers",
  },
  {
    id: "format.manifest",
    title: "manifest and config have what every engine needs",
    holds:
      "schemaVersion 2, rootfs.type layers, an os and an architecture; media types of one vendor that engines know.",
    why: "Without them umoci or crane refuse the image; mixed or unknown media types are refused by some registries and by Docker 20.10.",
    sources: ["image-spec, manifest.md and config.md", "ko: mixed media types", "amazon-ecs-agent issue 4179: zstd"],
    codes: ["schema-version", "rootfs-type", "platform", "media-type", "mixed-media-types", "layer-media-type"],
    fine: ({ image }) => `${image.platform.os}/${image.platform.architecture}`,
    hint: "convert the image with a current tool, or push it with compression gzip",
  },
  {
    id: "format.layers",
    title: "no more layers than Docker takes",
    holds: "The number of layers is at most 125.",
    why: "Docker 20.10 loads 125 layers and refuses 126: overlayfs takes no more folders at a time.",
    sources: ["measured with Docker 20.10.24", "moby/buildkit issue 4810"],
    codes: ["layer-count"],
    fine: ({ image }) => `${image.layers.length} of 125 layers`,
    hint: "join RUN and COPY instructions, or squash the base",
  },
  {
    id: "format.history",
    title: "the history tells of as many layers as there are",
    holds: "Entries of the history that aren't empty, compared with the layers.",
    why: "Docker refuses a history that is too long; a short one misleads whoever asks where bytes come from, and scanners.",
    sources: ["image-spec, config.md#properties", "measured with Docker 20.10.24"],
    codes: ["history"],
    fine: layersOf,
    hint: "write one history entry for each layer, and empty_layer for all others",
  },
  {
    id: "format.paths",
    title: "no path leads out of the image or through a file",
    holds: "No entry or hard link is absolute or has `..`, and none lies under something that is no folder.",
    why: "Engines clamp such a path to the root or refuse the layer, each in its own way; unpackers have written outside.",
    sources: ["image-spec, layer.md#file-attributes", "measured: docker, umoci and skopeo take ../evil without a word"],
    codes: ["unsafe-path", "parent-not-directory"],
    fine: ({ facts }) => `${facts.layers.reduce((sum, { entries }) => sum + entries, 0)} entries`,
    hint: "find out what wrote the layer: no build makes such paths",
  },
  {
    id: "format.duplicates",
    title: "no path is in a layer twice",
    holds: "Each path once a layer; `./a` and `a` are the same path.",
    why: "The specification forbids it; Docker refuses the layer, others take the last or the first.",
    sources: ["image-spec, layer.md#creating", "moby/buildkit issue 266", "bazeldnf issue 47"],
    codes: ["duplicate-path"],
    fine: layersOf,
    hint: "write the layer with a tool that keeps one entry a path",
  },
  {
    id: "format.hard-links",
    title: "every hard link has its target before it in its own layer",
    holds: "The target of each hard link is an earlier entry of the same layer.",
    why: "Docker can't make a link whose target comes later, lies in a layer below, or is not there.",
    sources: ["image-spec issue 1204", "google/go-containerregistry issue 977", "measured with Docker 20.10.24"],
    codes: ["hardlink-missing", "hardlink-early", "hardlink-cross-layer"],
    fine: layersOf,
    hint: "write the file itself into the layer instead of the link",
  },
  {
    id: "format.merged-usr",
    title: "no folder goes over a symbolic link of a layer below",
    holds:
      "No layer has a folder, or a path in one, where a layer below has a symbolic link, as /lib of a merged /usr.",
    why: "Docker replaces the link by the folder, and everything behind it is lost: the loader, then every program. umoci follows it.",
    sources: ["bazel-contrib/rules_oci issue 857", "measured with Docker 20.10.24 and umoci 0.4.7"],
    codes: ["symlink-replaced"],
    fine: layersOf,
    hint: "write to the folder that the link leads to: usr/lib, not lib",
  },
];

export const formatChecks: readonly StaticCheck[] = table.map(({ codes, fine, hint, ...about }) => ({
  ...about,
  run: (context): Finding => {
    const found = context.facts.problems.filter(({ code }) => codes.includes(code));
    const errors = found.filter(({ severity }) => severity === "error");
    const [first] = errors.length > 0 ? errors : found;
    if (!first) return pass(fine(context));
    const more = found.length > 1 ? ` and ${found.length - 1} more` : "";
    const told = { evidence: found.slice(0, 20).map(({ message }) => message), hint };
    return errors.length > 0 ? fail(`${first.message}${more}`, told) : warn(`${first.message}${more}`, told);
  },
}));
