import { describe, expect, it } from "vitest";
import type { DebianArchive } from "../../src/debian/archive.ts";
import { SheafError } from "../../src/errors.ts";
import { debianOffers } from "../../src/plan/choose-python.ts";

const pythons: Record<string, string | undefined> = { bookworm: "3.11.2", trixie: "3.13.5", forky: "3.14.8" };

async function offers(wanted: string, { unreleased = true, absent = "" } = {}) {
  const opened: string[] = [];
  const archive = (codename: string) => ({ codename }) as DebianArchive;
  const open = async (suite: string) => {
    opened.push(suite);
    if (suite === absent) throw new SheafError("SHEAF_ARCHIVE", "no");
    return archive(suite);
  };
  const found = await debianOffers(archive("bookworm"), open, {
    versionOf: ({ codename }) => pythons[codename],
    fits: (version) => version.startsWith(wanted),
    unreleased,
  });
  return { found: found.map(({ suite }) => suite), opened };
}

describe("debianOffers", () => {
  it("opens no later suite when one fits", async () => {
    expect(await offers("3.11")).toEqual({ found: ["bookworm"], opened: [] });
    expect(await offers("3.13")).toEqual({ found: ["bookworm", "trixie"], opened: ["trixie"] });
  });

  it("asks Debian's next release last, and not for a wish that may go unfulfilled", async () => {
    expect((await offers("3.14")).found).toEqual(["bookworm", "trixie", "forky"]);
    expect((await offers("3.14", { unreleased: false })).opened).toEqual(["trixie"]);
  });

  it("does without a next release that the machine doesn't know, and tells of any other", async () => {
    expect((await offers("3.14", { absent: "forky" })).found).toEqual(["bookworm", "trixie"]);
    await expect(offers("3.14", { absent: "trixie" })).rejects.toThrow(SheafError);
  });
});
