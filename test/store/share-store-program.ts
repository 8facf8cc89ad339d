import { openStore } from "../../src/store/store.ts";

/** Run several times at once on one store: writes the same blobs and records, and reads them. */
const store = openStore(process.argv[2] ?? "");
for (let round = 0; round < 60; round += 1) {
  store.putBlob(Buffer.alloc(50_000, round));
  store.writeRecord("kind", "same", { round, padding: "x".repeat(5000) });
  const seen = store.readRecord<{ padding: string }>("kind", "same");
  if (seen?.padding.length !== 5000) throw new Error("a record was half there");
}
