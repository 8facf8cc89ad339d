import type { Deployment } from "../../plan/deployment.ts";

/** Name of the volume for a folder of an image: one volume a path, so that images that have the same folder share it. */
export function volumeOf(folder: string): string {
  const parts = folder.split("/").filter((part) => part !== "");
  const name = parts.slice(parts.length > 1 ? 1 : 0).join("-");
  return (
    name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-+|-+$/g, "") || "data"
  );
}

/** All volumes of the apps, by name, with their folders. */
export function appVolumes({ apps }: Deployment): Map<string, string> {
  return new Map(apps.flatMap(({ image }) => image.writable.map((folder) => [volumeOf(folder), folder] as const)));
}
