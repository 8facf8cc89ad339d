import { describe } from "vitest";

import { output, podman, requireOrSkip } from "../lab/lab.ts";
import { testEngineEndToEnd } from "./engine-suite.ts";

const found = podman();
const available = requireOrSkip("Podman", found);

describe.skipIf(!available)("the example in Podman (skipped where it does not work)", () => {
  const client = found?.command ?? "";
  testEngineEndToEnd({
    client,
    // Docker would be taken first.
    env: { DOCKER_HOST: "unix:///nonexistent/docker.sock" },
    stopSeconds: 2,
    // Its timer is systemd's, which a container or a CI machine may lack.
    check: (container) => output(client, ["healthcheck", "run", container]).catch(() => undefined),
  });
});
