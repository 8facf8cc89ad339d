import { dockerEngine, requireOrSkip } from "../lab/lab.ts";
import { canBuildServers } from "./running-image.ts";
import { describeRunning } from "./running-suite.ts";

describeRunning("running checks in Docker (skipped where no engine answers or there is no Python)", {
  engine: "docker",
  unavailable: !requireOrSkip("Docker", dockerEngine()) || !canBuildServers,
  defects: ["runtime.capabilities", "runtime.no-network", "runtime.port"],
});
