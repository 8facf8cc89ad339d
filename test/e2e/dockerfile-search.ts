import { output } from "../lab/lab.ts";
import type { EngineRoom } from "./dockerfile-example.ts";

/** Files, in any layer of an image, whose bytes have a text in them; and its configuration, when that has it. */
export async function placesOf(room: EngineRoom, tag: string, text: string): Promise<string[]> {
  const folder = room.folder(`search-${tag.replaceAll(/\W/g, "-")}`);
  const found = await output("bash", ["-c", search, "bash", room.client, tag, folder, text]);
  return found
    .split("\n")
    .filter(Boolean)
    .map((name) => name.replace(/^\.\//, ""));
}

/** Paths of an image of one layer. */
export async function filesOf(room: EngineRoom, tag: string): Promise<string[]> {
  const script = `set -euo pipefail; "$1" save "$2" | tar -xO --wildcards '*/layer.tar' | tar -t`;
  return (await output("bash", ["-c", script, "bash", room.client, tag])).split("\n").filter(Boolean);
}

// As `docker save` writes them, layers are not compressed; those with the text in them are looked into file by file.
const search = `
set -euo pipefail
rm -rf "$3"
mkdir -p "$3"
cd "$3"
"$1" save "$2" | tar -x
export text=$4
for layer in $(find . -name layer.tar -type f); do
  if grep -qF -e "$text" "$layer"; then
    tar -xf "$layer" --to-command='if grep -qF -e "$text"; then echo "$TAR_FILENAME"; fi'
  fi
done
grep -rlF -e "$text" --include='*.json' . || true
cd /
rm -rf "$3"
`;
