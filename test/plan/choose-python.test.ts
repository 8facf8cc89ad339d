import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";
import type { DebianArchive } from "../../src/debian/archive.ts";
import { SheafError } from "../../src/errors.ts";
import { debianOffers, findCompiler } from "../../src/plan/choose-python.ts";
import { hostPlatform, machineOf } from "../../src/platform.ts";
import { emptyLab, fakeInstallation } from "../interpreter/installations.ts";

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

describe("findCompiler", () => {
  const host = hostPlatform();

  it.skipIf(!host)("takes one that runs here, for any architecture (needs amd64 or arm64)", () => {
    if (!host) return;
    const lab = emptyLab();
    onTestFinished(() => lab.dispose());
    const foreign = host.architecture === "amd64" ? "arm64" : "amd64";
    const platform = { os: "linux", architecture: foreign } as const;
    const version = "3.12.4";
    const copied = fakeInstallation(path.join(lab.uvFolder, `cpython-${version}`), {
      version,
      machine: machineOf(platform),
    });
    const choice = { kind: "uv", version, minor: "3.12", prefix: copied, reason: "", tried: [] } as const;
    const find = () =>
      findCompiler({ ...choice, tried: [] }, { platform, storeRoot: lab.store.root, machine: lab.machine });
    expect(find()).toBeUndefined();
    const local = fakeInstallation(path.join(lab.pyenvFolder, "3.12.9"), {
      version: "3.12.9",
      machine: machineOf(host),
    });
    expect(find()).toBe(path.join(local, "bin", "python3.12"));
  });
});
