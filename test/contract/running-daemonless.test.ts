import { expect, it } from "vitest";

import { runningChecks } from "../../src/contract/running/registry.ts";
import { namespacesWork } from "../engine/namespaces-available.ts";
import { runningDefects } from "./running-defects.ts";
import { canBuildServers } from "./running-image.ts";
import { describeRunning } from "./running-suite.ts";
import { workerDefects } from "./worker-defects.ts";

describeRunning("running checks without an engine (skipped where unshare --user fails or there is no Python)", {
  engine: "none",
  unavailable: !namespacesWork() || !canBuildServers,
  defects: "all",
});

it("have a defect each", () => {
  const failed = new Set([...runningDefects, ...workerDefects].map(({ id }) => id));
  expect(runningChecks.map(({ id }) => id).filter((id) => !failed.has(id))).toEqual([]);
});
