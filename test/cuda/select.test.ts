import { describe, expect, it } from "vitest";

import { architectureName } from "../../src/cuda/architecture.ts";
import type { FatBinary, FatImage } from "../../src/cuda/fat-binary.ts";
import { selectEntries } from "../../src/cuda/select.ts";
import type { SelectOptions } from "../../src/cuda/select.ts";

describe("selectEntries", () => {
  const torch = "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90";
  const cases: [title: string, images: string, expected: { targets: number[]; kept: string }][] = [
    ["exactly the architecture", torch, { targets: [86], kept: "sm_86" }],
    ["the highest minor that is not above", torch, { targets: [89], kept: "sm_86" }],
    ["never a higher minor", "sm_80 sm_89", { targets: [86], kept: "sm_80" }],
    ["never another major", "sm_75 sm_90 compute_70", { targets: [80], kept: "compute_70" }],
    ["each target's own", torch, { targets: [75, 80, 90], kept: "sm_75 sm_80 sm_90" }],
    ["a by its capability alone, beside the general code", "sm_90 sm_90a", { targets: [90], kept: "sm_90 sm_90a" }],
    ["a where it is all there is", "sm_80 sm_90a", { targets: [90], kept: "sm_90a" }],
    ["a not for others of the major", "sm_100 sm_100a", { targets: [103], kept: "sm_100" }],
    ["f by its family, from its capability on", "sm_100 sm_100f sm_120f", { targets: [103], kept: "sm_100 sm_100f" }],
    ["f not before its capability", "sm_103f sm_100", { targets: [100], kept: "sm_100" }],
    ["PTX only without machine code", "sm_80 compute_80", { targets: [86], kept: "sm_80" }],
    ["the newest PTX that is not above", "compute_52 compute_80 compute_90", { targets: [86], kept: "compute_80" }],
    ["PTX of a for its capability alone", "compute_90a compute_80", { targets: [100], kept: "compute_80" }],
    ["nothing where there is nothing", "sm_90 compute_90", { targets: [75], kept: "" }],
    ["what one of two targets uses", "sm_90 compute_75", { targets: [75, 90], kept: "sm_90 compute_75" }],
    ["machine code of an embedded chip for it", "sm_80 sm_87", { targets: [87], kept: "sm_87" }],
    ["not that of an embedded chip for others", "sm_80 sm_87 sm_90", { targets: [89], kept: "sm_80" }],
    [
      "for an embedded chip without code of its own, all that may run",
      "sm_80 compute_70 sm_90",
      { targets: [87], kept: "sm_80 compute_70" },
    ],
    ["every image of the architecture", "sm_86 sm_86 sm_80", { targets: [86], kept: "sm_86 sm_86" }],
    ["for each object file its own", "sm_80:one sm_86:one sm_80:two", { targets: [86], kept: "sm_86:one sm_80:two" }],
  ];
  it.each(cases)("keeps %s", (_, images, { targets, kept }) => {
    expect(select(images, { targets })).toBe(kept);
  });

  it("keeps lower minors and the newest PTX when it is told to", () => {
    expect(select("sm_75 sm_80 sm_86 sm_89", { targets: [86], lowerMinors: true })).toBe("sm_80 sm_86");
    expect(select("sm_86 compute_80 compute_90", { targets: [86], newestPtx: true })).toBe("sm_86 compute_90");
  });

  it("keeps everything of a form that is not known", () => {
    const binary = { ...binaryOf("sm_50 sm_60"), unknown: "device code of kind 8" };
    expect(selectEntries(binary, { targets: [86] })).toEqual({ kept: binary.entries, unserved: [] });
  });

  it("says which targets have nothing", () => {
    expect(selectEntries(binaryOf("sm_80"), { targets: [75, 80, 90] }).unserved).toEqual([75, 90]);
  });
});

function select(images: string, options: SelectOptions): string {
  return selectEntries(binaryOf(images), options)
    .kept.flatMap((entry) => entry.images)
    .map(nameOf)
    .join(" ");
}

function nameOf({ kind, architecture, identifier }: FatImage): string {
  return architectureName(architecture, kind === "ptx" ? "compute_" : "sm_") + (identifier ? `:${identifier}` : "");
}

function binaryOf(text: string): FatBinary {
  const entries = text.split(" ").map((each, index) => {
    const [, prefix, sm, variant, identifier = ""] = /^(sm|compute)_(\d+)([af]?)(?::(\w+))?$/.exec(each) ?? [];
    const kind = prefix === "sm" ? ("cubin" as const) : ("ptx" as const);
    const image: FatImage = { kind, architecture: { sm: Number(sm), variant: variant as "" | "a" | "f" }, identifier };
    const sizes = { headerSize: 64, size: 100, storedSize: 36, unpackedSize: 36 };
    return { ...sizes, offset: 16 + index * 100, kind, images: [image], storage: "raw" as const, debug: false };
  });
  return { offset: 0, size: 16 + entries.length * 100, entries };
}
