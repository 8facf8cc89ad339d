import * as fs from "node:fs";
import * as path from "node:path";

import { afterEach, expect, it, vi } from "vitest";

import { findUv } from "../../src/resolve/find-uv.ts";
import { makeBench, temporaryFolder } from "./support.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

it("passes over a shim that has no uv in the project's folder", async () => {
  const { services } = makeBench();
  const [shims, project, elsewhere] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
  // As pyenv's: what it runs depends on the .python-version of the folder that it is started in.
  const shim = `#!/bin/sh\nif [ "$(pwd)" = '${fs.realpathSync(project)}' ]; then echo "uv: command not found" >&2; exit 127; fi\necho "uv 9.8.7"\n`;
  fs.writeFileSync(path.join(shims, "uv"), shim, { mode: 0o755 });
  vi.stubEnv("PATH", `${shims}:/usr/bin:/bin`);
  const kept = path.join(services.store.root, "tools", "uv", "bin", "uv");
  fs.mkdirSync(path.dirname(kept), { recursive: true });
  fs.writeFileSync(kept, '#!/bin/sh\necho "uv 1.2.3"\n', { mode: 0o755 });
  expect(await findUv(elsewhere, services)).toEqual({ command: "uv", version: "9.8.7" });
  expect(await findUv(project, services)).toEqual({ command: kept, version: "1.2.3" });
});
