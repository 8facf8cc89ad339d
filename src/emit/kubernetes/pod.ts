import { commented, inline, type YamlValue } from "../yaml-text.ts";
import { volumeOf } from "../compose/volumes.ts";

export interface PodUser {
  uid: number;
  gid: number;
}

/** What the restricted Pod Security Standard asks of a pod, and no token for the cluster's API. */
export function podSecurity({ uid, gid }: PodUser): { [key: string]: YamlValue } {
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: commented(
      "Otherwise each Service sets variables such as REDIS_PORT=tcp://…, which settings would take for theirs.",
      false,
    ),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: uid,
      runAsGroup: gid,
      fsGroup: gid,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
  };
}

/** The same of a container. */
export const containerSecurity: YamlValue = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: inline(["ALL"]) },
};

/** A folder that a container may write to, as long as its pod lives. */
export interface Scratch {
  name: string;
  path: string;
  /** `256Mi` */
  limit: string;
  comment?: string;
}

export const temporary: Scratch = { name: "tmp", path: "/tmp", limit: "256Mi" };

/** One for each folder that the image may write to. */
export function scratchOf(folders: readonly string[]): Scratch[] {
  return folders.map((folder) => ({
    name: volumeOf(folder),
    path: `/${folder}`,
    limit: "1Gi",
    comment: "Each pod has its own. What pods share belongs into a bucket, or an overlay puts a claim here.",
  }));
}

export function volumesOf(scratch: readonly Scratch[]): YamlValue {
  return scratch.map(({ name, limit, comment }) => {
    const volume = { name, emptyDir: { sizeLimit: limit } };
    return comment === undefined ? volume : commented(comment, volume);
  });
}

export function mountsOf(scratch: readonly Scratch[]): YamlValue[] {
  return scratch.map(({ name, path }) => ({ name, mountPath: path }));
}
