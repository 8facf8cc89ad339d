import { formatBytes } from "../../units.ts";
import type { StaticCheck } from "../check.ts";
import { fail, type Finding, notApplicable, pass } from "../finding.ts";
import { sum } from "../lists.ts";

interface Measured {
  bytes: number;
  limit: number | undefined;
  what: string;
  evidence?: string[];
  hint: string;
}

function sizeFinding({ bytes, limit, what, evidence = [], hint }: Measured): Finding {
  const measured = `${formatBytes(bytes)} ${what}`;
  if (limit === undefined) return notApplicable(`no budget is set: ${measured}`);
  const told = { limit: formatBytes(limit), figure: { measured: bytes, limit, unit: "bytes" as const }, evidence };
  return bytes <= limit ? pass(measured, told) : fail(measured, { ...told, hint });
}

export const sizeUnpacked: StaticCheck = {
  id: "size.unpacked",
  title: "the image unpacks to no more than its budget",
  holds:
    "Bytes of all layers' archives together, as they are counted here: the same whatever engine or store holds the image.",
  why: "It is what a node's disk pays, and what `docker images` shows; engines count differently (overlay2 unpacked, containerd packed).",
  sources: ["moby pull request 53426", "image-spec, layer.md"],
  run: ({ facts, contract }) =>
    sizeFinding({
      bytes: sum(facts.layers, ({ unpacked }) => unpacked),
      limit: contract.size,
      what: "unpacked",
      evidence: facts.layers
        .toSorted((a, b) => b.unpacked - a.unpacked)
        .slice(0, 5)
        .map(({ index, unpacked, createdBy }) => `layer ${index}: ${formatBytes(unpacked)}, ${createdBy.slice(0, 80)}`),
      hint: "sheaf inspect --files shows who brought what; budgets stand in [tool.sheaf.images.NAME]",
    }),
};

export const sizeCompressed: StaticCheck = {
  id: "size.compressed",
  title: "a pull transfers no more than its budget",
  holds: "Bytes of all layers' blobs together.",
  why: "It is what every new node and every deployment waits for.",
  sources: ["image-spec, descriptor.md"],
  run: ({ facts, image, contract }) => {
    if (image.layers.length > 0 && image.layers.every(({ mediaType }) => mediaType.endsWith(".tar")))
      return notApplicable("the layers are not compressed where they are");
    return sizeFinding({
      bytes: sum(facts.layers, ({ compressed }) => compressed),
      limit: contract.compressedSize,
      what: "compressed",
      hint: "sheaf inspect shows the layers; compress anew what was stored, and leave out what is not needed",
    });
  },
};

export const sizeLayer: StaticCheck = {
  id: "size.layer",
  title: "no layer is larger than its budget",
  holds: "Bytes of the largest layer's blob.",
  why: "A layer is pulled whole and one changed byte moves all of it; some registries refuse large ones.",
  sources: ["containers-roadmap issue 2831", "image-spec, layer.md"],
  run: ({ facts, contract }) => {
    const largest = facts.layers.toSorted((a, b) => b.compressed - a.compressed)[0];
    return sizeFinding({
      bytes: largest?.compressed ?? 0,
      limit: contract.layerSize,
      what: `in layer ${largest?.index ?? 0}`,
      ...(largest ? { evidence: [largest.createdBy.slice(0, 200)] } : {}),
      hint: "install what changes seldom in a RUN of its own, before the code is copied",
    });
  },
};

export const sizeLayers: StaticCheck = {
  id: "size.layers",
  title: "there are no more layers than the budget",
  holds: "The number of layers, against the contract's `layers`.",
  why: "Every layer costs a request and a mount; engines take between 70 and 128, with those of whatever is built on top.",
  sources: ["moby/buildkit issue 4810"],
  run: ({ image, contract }) => {
    const { length } = image.layers;
    const told = {
      limit: String(contract.layers),
      figure: { measured: length, limit: contract.layers, unit: "count" as const },
    };
    const measured = `${length} layers`;
    return length <= contract.layers
      ? pass(measured, told)
      : fail(measured, { ...told, hint: "join RUN and COPY instructions" });
  },
};
