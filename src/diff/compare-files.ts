import type { FileFact } from "../contract/facts/file-fact.ts";
import type { ImageFacts } from "../contract/facts/image-facts.ts";
import { ownerOf } from "../inspect/owner-of.ts";
import { byCodeUnit } from "../order.ts";
import type { FileAspect, FileChange, FileDiff, FileState } from "./image-diff.ts";

/** Compares the merged file systems path by path. Whether a file is a hard link to another plays no part: its content does. */
export function compareFiles({ a, b }: { a: ImageFacts; b: ImageFacts }): FileDiff {
  const paths = [...new Set([...a.files.keys(), ...b.files.keys()])].toSorted(byCodeUnit);
  const changes: FileChange[] = [];
  let otherTimes = 0;
  for (const path of paths) {
    const left = a.files.get(path);
    const right = b.files.get(path);
    const aspects = left && right ? aspectsOf(left, right) : [];
    if (left && right && aspects.length === 0) {
      if (left.mtime !== right.mtime && left.type !== "directory") otherTimes += 1;
      continue;
    }
    const owner = ownerOf(path, right ? b : a);
    changes.push({
      path,
      how: left && right ? "changed" : left ? "removed" : "added",
      aspects,
      ...(owner ? { owner: `${owner.name} ${owner.version}` } : {}),
      ...(left ? { a: stateOf(left) } : {}),
      ...(right ? { b: stateOf(right) } : {}),
    });
  }
  return { same: paths.length - changes.length, otherTimes, changes };
}

function aspectsOf(a: FileFact, b: FileFact): FileAspect[] {
  if (a.type !== b.type || a.device !== b.device) return ["type"];
  const aspects: FileAspect[] = [];
  if (a.type === "file" && (a.size !== b.size || a.sha256 !== b.sha256)) aspects.push("content");
  // Links have no mode of their own.
  if (a.type !== "symlink" && permissions(a) !== permissions(b)) aspects.push("mode");
  if (a.uid !== b.uid || a.gid !== b.gid) aspects.push("owner");
  if (a.target !== b.target) aspects.push("target");
  return aspects;
}

function stateOf({ type, mode, uid, gid, size, sha256, target }: FileFact): FileState {
  return {
    type,
    mode: mode & 0o7777,
    uid,
    gid,
    size,
    ...(sha256 === undefined ? {} : { sha256: `sha256:${Buffer.from(sha256, "base64url").toString("hex")}` }),
    ...(target === undefined ? {} : { target }),
  };
}

function permissions({ mode }: FileFact): number {
  return mode & 0o7777;
}
