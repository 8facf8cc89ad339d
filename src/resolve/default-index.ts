import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { SheafError } from "../errors.ts";
import type { Store } from "../store/store.ts";

const run = promisify(execFile);

/** pip tells where it looks by default; Sheaf has no index of its own. */
const question = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";

/**
 * The index that this machine's pip uses when nothing else is configured. Asked once, then kept in the store.
 * @throws SheafError SHEAF_NO_INDEX when there is neither pip nor uv to ask
 */
export async function discoverDefaultIndex(store: Store): Promise<string> {
  const known = store.readRecord<{ url: string }>("default-index", "pip");
  if (known) return known.url;
  const url = (await askPip()) ?? (await askUv());
  if (!url) {
    throw new SheafError(
      "SHEAF_NO_INDEX",
      "no index is configured, and there is neither pip nor uv that knows the usual one",
      {
        hint: [
          "set PIP_INDEX_URL or UV_DEFAULT_INDEX to a simple index",
          "or install pip (python3 -m ensurepip) or uv",
        ],
      },
    );
  }
  store.writeRecord("default-index", "pip", { url });
  return url;
}

async function askPip(): Promise<string | undefined> {
  for (const python of ["python3", "python"]) {
    const answer = await output(python, ["-c", question]);
    if (answer && /^https?:\/\//.test(answer)) return answer;
  }
  return undefined;
}

/** uv writes the index that it uses above what it compiles, even when there is nothing to compile. */
async function askUv(): Promise<string | undefined> {
  const answer = await output("uv", ["pip", "compile", "--no-config", "--emit-index-url", "--quiet", "/dev/null"]);
  return answer && /^--index-url\s+(\S+)/m.exec(answer)?.[1];
}

async function output(command: string, parameters: string[]): Promise<string | undefined> {
  try {
    const { stdout } = await run(command, parameters, { timeout: 20_000, maxBuffer: 1024 * 1024 });
    return stdout.trim();
  } catch {
    return undefined;
  }
}
