import { describe, expect, it } from "vitest";

import { roleOfImage, withoutInit } from "../../src/contract/role.ts";
import { preflightCommand } from "../../src/cuda/preflight/preflight.ts";
import { withoutPreflight } from "../../src/cuda/preflight/words.ts";

const celery = ["celery", "-A", "jobs", "worker"];
const preflight = preflightCommand("/usr/local/bin/python3.12");

describe("an entrypoint with the preflight", () => {
  it("starts what stands behind it", () => {
    expect(withoutPreflight([...preflight, ...celery])).toEqual(celery);
    expect(withoutPreflight(["/usr/bin/tini", "--", ...preflight, ...celery])).toEqual([
      "/usr/bin/tini",
      "--",
      ...celery,
    ]);
    expect(withoutPreflight(["/usr/bin/tini", "--", ...preflight])).toEqual(["/usr/bin/tini", "--"]);
    expect(withoutPreflight(celery)).toEqual(celery);
    expect(withoutPreflight([])).toEqual([]);
  });

  it("is seen through by who asks what an image is for", () => {
    const Entrypoint = ["/usr/bin/tini", "--", ...preflight];
    expect(withoutInit([...Entrypoint, ...celery])).toEqual(celery);
    expect(roleOfImage({ Entrypoint, Cmd: celery })).toBe("worker");
    expect(roleOfImage({ Entrypoint, Cmd: ["uvicorn", "app:app"] })).toBe("api");
    expect(roleOfImage({ Entrypoint: preflight, Cmd: celery })).toBe("worker");
  });
});
