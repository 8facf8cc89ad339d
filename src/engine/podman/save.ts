import { mediaTypes } from "../../oci/types.ts";
import { podman, type PodmanCommand } from "./command.ts";

/**
 * Writes an image into a file, in the format that it has in Podman: an OCI config has no health check, and a change of formats
 * would change the image's id.
 */
export async function saveFromPodman(
  command: PodmanCommand,
  { tag, file, signal }: { tag: string; file: string; signal?: AbortSignal },
): Promise<void> {
  const type = await podman(command, ["image", "inspect", "--format", "{{.ManifestType}}", tag]);
  const format = type === mediaTypes.manifest ? "oci-archive" : "docker-archive";
  const args = ["save", "--quiet", "--format", format, "--output", file, tag];
  await podman(command, args, { signal });
}
