import { podman, requireOrSkip } from "../lab/lab.ts";
import { canBuildServers } from "./running-image.ts";
import { describeRunning } from "./running-suite.ts";

describeRunning("running checks in Podman (skipped where it does not work or there is no Python)", {
  engine: "podman",
  unavailable: !requireOrSkip("Podman", podman()) || !canBuildServers,
  defects: ["runtime.no-network"],
});
