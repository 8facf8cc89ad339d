import { SheafError } from "../../errors.ts";
import { pruneStore, storeUsage } from "../../store/prune.ts";
import { usedBlobs } from "../../assemble/stored-images.ts";
import { formatBytes, plural } from "../../report/text.ts";
import { type Command, flagOption } from "../command.ts";

export const cache: Command = {
  name: "cache",
  summary: "show or prune the store",
  arguments: [{ name: "action", summary: "show (the default), prune, or dir" }],
  options: [{ flags: "--all", summary: "prune: images, downloads and layers too, everything" }],
  examples: ["sheaf cache", "sheaf cache prune", "sheaf cache prune --all"],
  async run(input, { store }) {
    const action = input.arguments[0] ?? "show";
    if (action === "dir") return { text: () => store.root, json: { directory: store.root } };
    if (action === "show") {
      const usage = storeUsage(store);
      return {
        text: () =>
          `${store.root}\n${formatBytes(usage.bytes)} in ${plural(usage.blobs, "blob")}, ${plural(usage.records, "record")}`,
        json: { directory: store.root, ...usage },
      };
    }
    if (action === "prune") {
      const all = flagOption(input, "all");
      const pruned = pruneStore(store, all ? new Set() : usedBlobs(store), { records: all });
      return { text: () => `removed ${plural(pruned.blobs, "blob")}, ${formatBytes(pruned.bytes)}`, json: pruned };
    }
    throw new SheafError("SHEAF_OPTION", `sheaf cache knows no ${JSON.stringify(action)}`, {
      hint: "sheaf cache show, sheaf cache prune, sheaf cache dir",
    });
  },
};
