import { beforeAll, describe, expect, it } from "vitest";

import { answerOf } from "./engine-suite.ts";
import { namespacesWork } from "../engine/namespaces-available.ts";
import { builtExample, exampleTag } from "./example.ts";
import { freePort, isTaken, withPort8000 } from "./ports.ts";
import { sheaf, startSheaf } from "./sheaf.ts";

describe.skipIf(!namespacesWork())("sheaf run without an engine (skipped where namespaces are refused)", () => {
  beforeAll(() => builtExample(), 300_000);

  it.each(["SIGINT", "SIGTERM"] as const)("answers, and stops cleanly with %s", { timeout: 60_000 }, async (signal) => {
    const port = await freePort();
    const server = ["uvicorn", "app.main:app", "--host", "127.0.0.1", "--port", String(port)];
    // Without an engine the image shares this machine's network, where 8000 may be taken.
    const running = startSheaf(["run", exampleTag, "-p", `${port}:${port}`, "--", ...server]);
    expect(await answerOf(`http://127.0.0.1:${port}/health`, 30)).toBe('{"status":"healthy"}');
    const stopped = performance.now();
    running.child.kill(signal);
    const { code, stderr } = await running.ended;
    expect([0, 143], stderr).toContain(code);
    expect(performance.now() - stopped).toBeLessThan(8000);
  });

  it("runs a command as the image's user, and passes on its exit code", { timeout: 60_000 }, async () => {
    const port = await freePort();
    const command = ["sh", "-c", "whoami; exit 7"];
    const outcome = await sheaf(["run", exampleTag, "-p", `${port}:${port}`, "--", ...command]);
    expect(outcome).toMatchObject({ code: 7, stdout: "appuser\n" });
  });

  it("waits until the image is healthy", { timeout: 300_000 }, async ({ skip }) => {
    await withPort8000(async () => {
      if (await isTaken(8000)) skip("port 8000, which the image listens on, is taken on this machine");
      const outcome = await sheaf(["run", exampleTag, "--wait"]);
      expect(outcome.code, `${outcome.stdout}${outcome.stderr}`).toBe(0);
      expect(outcome.stderr).toContain("healthy");
    });
  });
});
