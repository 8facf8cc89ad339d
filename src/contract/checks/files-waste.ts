import { formatBytes, plural } from "../../units.ts";
import type { StaticCheck } from "../check.ts";
import type { FileFact, LostFile } from "../facts/file-fact.ts";
import { ownerName, ownersOf } from "../facts/owners.ts";
import { fail, type Finding, pass } from "../finding.ts";
import { firstOf, sum } from "../lists.ts";

interface Lost {
  how: LostFile["how"];
  limit: number;
  hint: string;
}

function lostFinding(all: readonly LostFile[], { how, limit, hint }: Lost): Finding {
  const lost = all.filter((file) => file.how === how);
  const bytes = sum(lost, ({ size }) => size);
  const largest = lost.toSorted((a, b) => b.size - a.size);
  const figures = {
    limit: formatBytes(limit),
    figure: { measured: bytes, limit, unit: "bytes" as const },
    evidence: firstOf(
      largest.map(
        ({ path, size, layer, same }) =>
          `/${path}, ${formatBytes(size)} in layer ${layer}${same ? ", the same content again: only owner, mode or time changed" : ""}`,
      ),
      8,
    ),
  };
  if (lost.length === 0) return pass(`nothing ${how} later`, figures);
  if (bytes <= limit) return pass(`${formatBytes(bytes)} ${how} later`, figures);
  return fail(`${formatBytes(bytes)} in ${plural(lost.length, "file")} ${how} later`, { ...figures, hint });
}

export const filesDeleted: StaticCheck = {
  id: "files.deleted",
  title: "nothing is shipped that a later layer deletes",
  holds: "Bytes of files that a layer has and a later one deletes, against the contract's `waste`.",
  why: "Deleting in a later layer hides a file: it is still pulled, stored and readable.",
  sources: ["image-spec, layer.md#whiteouts"],
  run: ({ facts, contract }) =>
    lostFinding(facts.lost, {
      how: "deleted",
      limit: contract.waste,
      hint: "delete in the RUN that made it, or make it in another stage",
    }),
};

/** No layer that installs something can leave them alone. */
const packageNotes =
  /^var\/(?:lib\/dpkg\/(?:status|available|statoverride|info\/format)(?:-old)?$|cache\/debconf\/|log\/)/;

export const filesReplaced: StaticCheck = {
  id: "files.replaced",
  title: "nothing is shipped twice because a later layer replaces it",
  holds:
    "Bytes of files that a layer has and a later one replaces, against the contract's `waste`. The notes of dpkg and debconf, which every installation writes anew, don't count.",
  why: "Both versions are pulled. `chown -R` and `chmod -R` in a RUN of their own ship every file again; so does upgrading pip over the base's.",
  sources: ["image-spec, layer.md#applying-changesets", "dive: wasted space"],
  run: ({ facts, contract }) =>
    lostFinding(
      facts.lost.filter(({ path }) => !packageNotes.test(path)),
      {
        how: "replaced",
        limit: contract.waste,
        hint: "give owner and mode when copying (COPY --chown --chmod), and don't reinstall what the base has",
      },
    ),
};

/** Smaller files come twice in every system, and cost little. */
const smallest = 4096;

export const filesDuplicates: StaticCheck = {
  id: "files.duplicates",
  title: "the same content is not there under several paths",
  holds:
    "Bytes of files of 4 kB and more whose content another path has as well, against the contract's `duplicates`; hard links count once.",
  why: "A library that two wheels bring, an environment that was copied beside the one that runs: megabytes that every node pulls.",
  sources: ["rules_py: namespace wheels of CUDA share 2,118 files"],
  run: ({ facts, contract }) => {
    const copies = new Map<string, FileFact[]>();
    for (const file of facts.files.values()) {
      if (file.type !== "file" || file.size < smallest || file.sha256 === undefined || file.linkTo !== undefined)
        continue;
      const same = copies.get(file.sha256);
      if (same) same.push(file);
      else copies.set(file.sha256, [file]);
    }
    const twice = [...copies.values()]
      .filter((files) => files.length > 1)
      .map((files) => ({ files, bytes: sum(files.slice(1), ({ size }) => size) }))
      .toSorted((a, b) => b.bytes - a.bytes);
    const bytes = sum(twice, (each) => each.bytes);
    const owners = facts.derived(ownersOf);
    const figures = {
      limit: formatBytes(contract.duplicates),
      figure: { measured: bytes, limit: contract.duplicates, unit: "bytes" as const },
      evidence: firstOf(
        twice.map(
          (each) =>
            `${formatBytes(each.bytes)} more: ${each.files
              .slice(0, 4)
              .map(({ path }) => `/${path} (${ownerName(owners.get(path))})`)
              .join(", ")}`,
        ),
        8,
      ),
    };
    if (bytes <= contract.duplicates) return pass(`${formatBytes(bytes)} more than once`, figures);
    return fail(`${formatBytes(bytes)} more than once`, {
      ...figures,
      hint: "install into one environment only, drop one of two distributions that bring the same, or link the files",
    });
  },
};
