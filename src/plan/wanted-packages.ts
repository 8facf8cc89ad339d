import type { DebianArchive } from "../debian/archive.ts";
import type { ImageIntent } from "./choose-images.ts";
import type { PlanNote } from "./image-plan.ts";

/** Configured packages have to exist; those that a Dockerfile for another distribution names may not. */
export function wantedPackages(
  intent: ImageIntent,
  archive: DebianArchive,
): { packages: Map<string, string>; notes: PlanNote[] } {
  const packages = new Map<string, string>();
  const notes: PlanNote[] = [];
  if (intent.settings["health-client"] === "curl" && archive.find("curl")) packages.set("curl", "asks for health");
  for (const { value, source } of intent.packages) {
    if (source === "config" || archive.find(value)) packages.set(value, source);
    else
      notes.push({
        level: "warning",
        message: `${value} (${source}) is not in ${archive.codename || "the base's archive"} and left out`,
        hint: "name its replacement in [tool.sheaf] packages",
      });
  }
  return { packages, notes };
}
