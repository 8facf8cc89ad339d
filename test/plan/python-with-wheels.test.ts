import { describe, expect, it } from "vitest";
import { SheafError } from "../../src/errors.ts";
import type { InterpreterChoice } from "../../src/interpreter/choose.ts";
import { pythonWithWheels } from "../../src/plan/python-with-wheels.ts";

const choice = (minor: string): InterpreterChoice => ({
  kind: "host",
  version: `${minor}.1`,
  minor,
  prefix: `/opt/python${minor}`,
  reason: `imported from this machine: /opt/python${minor}; the first choice of those that fit`,
  tried: [],
});

/** Sdists by minor; a string is the code of the error that resolving ends with. */
async function chosen(sdists: Record<string, number | `SHEAF_${string}`>, allowed = /./) {
  const asked: string[] = [];
  const result = await pythonWithWheels({
    first: choice("3.13"),
    allows: (version) => allowed.test(version),
    toBuild: async (version) => {
      const minor = version.split(".").slice(0, 2).join(".");
      asked.push(minor);
      const count = sdists[minor] ?? 0;
      if (typeof count === "string") throw new SheafError(count, "no");
      return count;
    },
    choose: async (minor) => choice(minor),
  });
  return { minor: result.minor, reason: result.reason, asked };
}

describe("pythonWithWheels", () => {
  it("stays with the first where all have wheels, and asks for nothing else", async () => {
    expect(await chosen({ "3.13": 0 })).toMatchObject({ minor: "3.13", asked: ["3.13"] });
  });

  it("takes the newest minor with the fewest builds, and says why", async () => {
    const { minor, reason } = await chosen({ "3.13": 21, "3.12": 20, "3.11": 8, "3.10": 5, "3.9": 5 });
    expect(minor).toBe("3.10");
    expect(reason).toBe("imported from this machine: /opt/python3.10; 21 distributions have no wheel for 3.13");
  });

  it("gives up soon where a distribution has no wheel anywhere", async () => {
    expect(await chosen({ "3.13": 1, "3.12": 1, "3.11": 1, "3.10": 1 })).toMatchObject({
      minor: "3.13",
      asked: ["3.13", "3.12", "3.11"],
    });
  });

  it("never leaves requires-python", async () => {
    expect((await chosen({ "3.13": 3, "3.12": 2, "3.11": 0 }, /^3\.1[23]/)).minor).toBe("3.12");
  });

  it("leaves a version that the pins rule out", async () => {
    expect((await chosen({ "3.13": "SHEAF_NO_WHEEL", "3.12": 0 })).minor).toBe("3.12");
  });

  it("leaves other errors to be told when the image is planned", async () => {
    expect(await chosen({ "3.13": "SHEAF_LOCK_STALE" })).toMatchObject({ minor: "3.13", asked: ["3.13"] });
  });
});
