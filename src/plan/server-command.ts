import { SheafError } from "../errors.ts";
import type { Sourced } from "../project/project.ts";
import type { Resolution } from "../resolve/resolution.ts";
import type { ImageIntent } from "./choose-images.ts";

/**
 * The first server among the distributions runs an API that names no command.
 * @throws SheafError SHEAF_NO_SERVER
 */
export function serverCommand(intent: ImageIntent, resolution: Resolution): Sourced<string[]> {
  const { app } = intent;
  if (!app) throw new Error(`the image ${intent.name} has neither a command nor an app`);
  const port = String(intent.port?.value ?? 8000);
  const target = `${app.module}:${app.attribute}`;
  const source = `${app.file}:${app.line} is FastAPI()`;
  const names = new Set(resolution.distributions.map(({ name }) => name));
  if (names.has("uvicorn")) {
    return {
      value: ["uvicorn", target, ...(app.factory ? ["--factory"] : []), "--host", "0.0.0.0", "--port", port],
      source,
    };
  }
  if (names.has("hypercorn"))
    return { value: ["hypercorn", app.factory ? `${target}()` : target, "--bind", `0.0.0.0:${port}`], source };
  if (names.has("granian")) {
    return {
      value: [
        "granian",
        "--interface",
        "asgi",
        ...(app.factory ? ["--factory"] : []),
        "--host",
        "0.0.0.0",
        "--port",
        port,
        target,
      ],
      source,
    };
  }
  throw new SheafError("SHEAF_NO_SERVER", `the image "${intent.name}" has no ASGI server to run ${target} with`, {
    details: [["looked for", `uvicorn, hypercorn, granian among ${names.size} distributions`]],
    hint: [
      "add uvicorn to the dependencies and write the lock again",
      `or set [tool.sheaf.images.${intent.name}] command`,
    ],
  });
}
