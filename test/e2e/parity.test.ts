import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openImageReference } from "../../src/assemble/open-reference.ts";
import { ImageFacts } from "../../src/contract/facts/image-facts.ts";
import { compareImages, type Side } from "../../src/diff/compare.ts";
import type { FileChange, ImageDiff } from "../../src/diff/image-diff.ts";
import { readSides } from "../../src/diff/read-sides.ts";
import type { Image } from "../../src/oci/image.ts";
import { openStore } from "../../src/store/store.ts";
import { build, buildKit } from "./buildkit.ts";
import { base, EngineRoom } from "./dockerfile-example.ts";
import { buildJson, builtExample, example, exampleTag } from "./example.ts";
import { type BaseOfDockerfile, needless, unexplained, isOfBase } from "./parity-allowances.ts";
import { sharedStore } from "./sheaf.ts";

const client = await buildKit(base);

describe.skipIf(!client)("the composed image and the one that Docker builds from the emitted Dockerfile", () => {
  const room = new EngineRoom(client ?? "");
  const store = openStore(sharedStore);
  afterAll(() => store.dispose());
  const signal = new AbortController().signal;
  const open = (name: string) => openImageReference(name, { store, offline: true });
  let a: KnownSide;
  let b: KnownSide;
  let from: BaseOfDockerfile;
  let diff: ImageDiff;

  beforeAll(async () => {
    const tag = room.tag("parity");
    await builtExample();
    await build(client ?? "", room.context("parity"), { tag });
    const composed = await open(exampleTag);
    const [built, below] = [await open(`docker-daemon:${tag}`), await open(`docker-daemon:${base}`)];
    const [ours, theirs] = await readSides([composed.image, built.image], signal);
    const [bare] = await readSides([below.image, below.image], signal);
    a = { title: "composed", from: "store", image: composed.image, facts: ours };
    b = { title: "Dockerfile", from: "docker", image: built.image, facts: relocated(theirs) };
    from = describeBase(below.image, bare);
    diff = compareImages(a, b);
    for (const opened of [built, below]) await opened.close();
  }, 600_000);

  it("have the same distributions in the same versions", () => {
    expect(diff.distributions?.changes.filter((change) => !isOfBase(change))).toEqual([]);
    expect(diff.distributions?.same).toBeGreaterThan(50);
  });

  it("have the same files of the app, with the same modes and owners", () => {
    const inApp = diff.files?.changes.filter(({ path }) => /^app(?:\/|$)/.test(path)) ?? [];
    const others = inApp.filter(({ path }) => !/\.pyc$|__pycache__$|^app\/demeterai-0\.1\.0\.dist-info/.test(path));
    expect(others).toEqual([]);
    const sources = [...a.facts.files.keys()].filter((path) => /^app\/.*\.(?:py|ini|toml|mako)$/.test(path));
    expect(sources.length).toBeGreaterThan(15);
  });

  it("run the same way: user, command, health check's figures, ports, labels, stop signal, environment", () => {
    const [ours, theirs] = [a, b].map(({ image }) => image.config.config ?? {});
    for (const field of ["User", "WorkingDir", "Entrypoint", "Cmd", "ExposedPorts"] as const)
      expect(theirs?.[field], field).toEqual(ours?.[field]);
    expect({ ...theirs?.Healthcheck, Test: undefined }).toEqual({ ...ours?.Healthcheck, Test: undefined });
    const own = (ours?.Env ?? []).filter((each) => !each.startsWith("PATH="));
    expect(theirs?.Env).toEqual(expect.arrayContaining(own));
    expect(ours?.User).toBe("10001:10001");
  });

  it("have the same user in the same group", () => {
    const line = (facts: ImageFacts, file: string) => facts.text(file)?.match(/^appuser:.*$/m)?.[0];
    for (const file of ["etc/passwd", "etc/group"]) {
      expect(line(a.facts, file)).toContain(":10001:");
      expect(line(b.facts, file), file).toBe(line(a.facts, file));
    }
    const home = (facts: ImageFacts) => facts.files.get("home/appuser");
    expect([home(a.facts)?.uid, home(a.facts)?.mode]).toEqual([home(b.facts)?.uid, home(b.facts)?.mode]);
  });

  it("differ in nothing that has no reason", () => {
    expect(unexplained(diff, from)).toEqual([]);
  });

  it("need every reason that is given", () => {
    expect(needless(diff, from)).toEqual([]);
  });

  it.each<[string, (diff: ImageDiff) => void]>([
    [
      "distribution idna: 3.20 and 3.19",
      (each) => void each.distributions?.changes.push({ name: "idna", a: "3.20", b: "3.19" }),
    ],
    ["package curl: undefined and 8.0", (each) => void each.debian?.changes.push({ name: "curl", b: "8.0" })],
    ["config user: 10001:10001 and 0", (each) => void each.config?.push({ field: "user", a: "10001:10001", b: "0" })],
    ["config env DEBUG: undefined and 1", (each) => void each.config?.push({ field: "env DEBUG", b: "1" })],
    [
      "config health timeout: 3 s and 5 s",
      (each) => void each.config?.push({ field: "health timeout", a: "3 s", b: "5 s" }),
    ],
    ["file app/.env: added", (each) => void each.files?.changes.push({ path: "app/.env", how: "added", aspects: [] })],
    [
      "file app/app/main.py: changed mode",
      (each) => void each.files?.changes.push({ path: "app/app/main.py", how: "changed", aspects: ["mode"] }),
    ],
    [
      "file opt/venv/bin2: added",
      (each) => void each.files?.changes.push({ path: "opt/venv/bin2", how: "added", aspects: [] }),
    ],
    [
      "file usr/bin/gcc: added",
      (each) => void each.files?.changes.push({ path: "usr/bin/gcc", how: "added", aspects: [] }),
    ],
    [
      "file usr/local/lib/python3.12/site-packages/x.py: changed content",
      (each) =>
        void each.files?.changes.push({
          path: "usr/local/lib/python3.12/site-packages/x.py",
          how: "changed",
          aspects: ["content"],
        }),
    ],
  ])("would be told of a new difference: %s", (told, plant) => {
    const planted = structuredClone(diff);
    plant(planted);
    expect(unexplained(planted, from)).toEqual([told]);
  });

  it("come closer still over the same base image", async () => {
    const over = "sheaf-e2e-parity-over:latest";
    await buildJson([example, "--image", "api", "--base", `docker-daemon:${base}`, "-t", over]);
    const { image } = await open(over);
    const [facts] = await readSides([image, image], signal);
    const { debian, config, distributions, files } = compareImages({ title: "over", from: "store", image, facts }, b);
    expect(debian?.changes).toEqual([]);
    expect(config?.map(({ field }) => field)).toEqual([
      "env PATH",
      "label org.opencontainers.image.base.digest",
      "label org.opencontainers.image.base.name",
    ]);
    expect(distributions?.changes).toEqual([]);
    // tini is installed in both: by apt, which takes notes, and by Sheaf.
    const isNote = ({ path }: FileChange) => /^var\/(?:lib\/dpkg\/status(?:-old)?|log\/dpkg\.log)$/.test(path);
    const changes = files?.changes.filter((change) => !isNote(change)) ?? [];
    const rest = unexplained(
      {
        ...diff,
        distributions: undefined,
        debian: undefined,
        config: undefined,
        files: { same: 0, otherTimes: 0, changes },
      },
      from,
    );
    expect(rest).toEqual([]);
  });
});

type KnownSide = Side & { facts: ImageFacts };

/** The Dockerfile's environment in /opt/venv, put over /usr/local, where the composed image has its packages. */
function relocated(facts: ImageFacts): ImageFacts {
  const moved = (path: string) =>
    path.replace(/^opt\/venv\/(bin|lib\/python3\.\d+\/site-packages)(?=\/|$)/, "usr/local/$1");
  const files = new Map(facts.files);
  for (const [path, file] of facts.files) {
    const to = moved(path);
    if (to === path) continue;
    files.delete(path);
    files.set(to, { ...file, path: to });
  }
  const { secrets, lost, layers, problems } = facts;
  return new ImageFacts({ files, secrets, lost, layers, problems });
}

/** What an image has, as changes from nothing would name it. */
function describeBase(image: Image, facts: ImageFacts): BaseOfDockerfile {
  const { secrets, lost, layers, problems } = facts;
  const nothing = new ImageFacts({ files: new Map(), secrets, lost, layers, problems });
  const empty = { ...image, config: { ...image.config, config: {} } };
  const diff = compareImages(
    { title: "nothing", from: "", image: empty, facts: nothing },
    { title: "base", from: "", image, facts },
  );
  return {
    files: new Map(diff.files?.changes.flatMap(({ path, b }) => (b ? [[path, b]] : []))),
    config: new Map(diff.config?.flatMap(({ field, b }) => (b === undefined ? [] : [[field, b]]))),
    debian: new Map(diff.debian?.changes.flatMap(({ name, b }) => (b === undefined ? [] : [[name, b]]))),
  };
}
