import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { openImageReference } from "../../src/assemble/open-reference.ts";
import { resolveContract } from "../../src/contract/contract.ts";
import { ImageFacts } from "../../src/contract/facts/image-facts.ts";
import { readDockerfileFacts } from "../../src/contract/read-dockerfile.ts";
import { verifyImage } from "../../src/contract/verify-image.ts";
import { openStore } from "../../src/store/store.ts";
import { temporary } from "../archive/oracle.ts";
import { buildKit, frontend } from "../e2e/buildkit.ts";
import { dockerEngine, output, requireOrSkip } from "../lab/lab.ts";
import { reshaped } from "../oci/images.ts";
import { apiParts, type ImageParts, verifyParts } from "./image-dsl.ts";

const docker = dockerEngine();

/** Evidence of a check, empty where it passes; undefined where it does not apply. */
async function evidence(
  id: string,
  edit: (dockerfile: ImageParts["dockerfile"]) => void,
): Promise<string[] | undefined> {
  const parts = apiParts();
  edit(parts.dockerfile);
  // As of another builder: Sheaf's own have variables that no Dockerfile names.
  parts.reshape = (image) =>
    reshaped(image, {
      config: { history: image.config.history?.map(({ created_by, empty_layer }) => ({ created_by, empty_layer })) },
    });
  const found = (await verifyParts(parts)).verdict.checks.find((check) => check.id === id);
  return found?.verdict === "skipped" ? undefined : (found?.evidence ?? []);
}

/** Puts lines before USER, in the last stage. */
const insert = (lines: string) => (dockerfile: ImageParts["dockerfile"]) =>
  void (dockerfile.text = dockerfile.text.replace("USER", `${lines}\nUSER`));

describe("dockerfile.args", () => {
  it.each([
    ["ARG ENABLE_GPU=false\nRUN pip install .", ["ARG ENABLE_GPU is used by nothing"]],
    ["ARG ENABLE_GPU=false\nRUN if [ $ENABLE_GPU = true ]; then pip install .; fi", []],
    ["ARG ENABLE_GPU=false\nRUN <<EOF\necho ${ENABLE_GPU}\nEOF", []],
    // Tools, and scripts of the project, read their variables without a word of them here.
    ["ARG DEBIAN_FRONTEND=noninteractive\nRUN apt-get install -y x", []],
    ["ARG PIP_INDEX_URL\nRUN pip install .", []],
    ["ARG ENABLE_GPU=false\nRUN ./install.sh", []],
    ["ARG DEBIAN_FRONTEND=noninteractive", ["ARG DEBIAN_FRONTEND is used by nothing"]],
    ["ARG A=1\nLABEL x=$AB", ["ARG A is used by nothing"]],
  ])("%j: %j", async (lines, problems) => {
    const found = await evidence("dockerfile.args", insert(lines));
    expect(found?.map((line) => line.replace(/^Dockerfile:\d+: /, ""))).toEqual(problems);
  });
});

describe("dockerfile.base", () => {
  it.each([
    ["COPY --from=tools/uv:latest /uv /bin/", ["COPY from tools/uv:latest takes whatever is newest"]],
    ["COPY --from=tools/uv /uv /bin/", ["COPY from tools/uv, which is no stage and has no tag"]],
    ["COPY --link --from=tools/uv:0.9.1 /uv /bin/", []],
    [
      "RUN --mount=from=tools/uv:latest,source=/uv,target=/bin/uv uv sync",
      ["RUN from tools/uv:latest takes whatever is newest"],
    ],
    ["COPY --from=0 /uv /bin/", []],
  ])("%s: %j", async (lines, problems) => {
    const found = await evidence("dockerfile.base", insert(lines));
    expect(found?.map((line) => line.replace(/^Dockerfile:\d+: /, ""))).toEqual(problems);
  });
});

describe("dockerfile.image", () => {
  it.each([
    ["ENV PYTHONUNBUFFERED=1 PYTHONPATH=/app", []],
    ["ENV PYTHONUNBUFFERED 0", ["ENV PYTHONUNBUFFERED=0, the image has 1"]],
    ["ENV A=1\nENV A=$B", []],
    ['LABEL org.opencontainers.image.title="shop-api" team=shop', ["LABEL team=shop, the image has none"]],
    ["WORKDIR /app/", []],
    ["WORKDIR /srv", ["WORKDIR /srv, the image has /app"]],
  ])("%s: %j", async (lines, problems) => {
    const found = await evidence("dockerfile.image", insert(lines));
    expect(found?.map((line) => line.replace(/^Dockerfile:\d+: /, ""))).toEqual(problems);
  });

  it("compares a health check's figures", async () => {
    const found = await evidence("dockerfile.image", (dockerfile) => {
      dockerfile.text = dockerfile.text
        .replace("--interval=30s", "--interval=0.5m")
        .replace("--retries=3", "--retries=5");
    });
    expect(found).toEqual(["Dockerfile:8: HEALTHCHECK --retries=5, the image has 3"]);
  });

  it("names the stage that the image is of, where it is another than the last", async () => {
    const parts = apiParts();
    const from = "FROM python:3.12-slim AS worker";
    parts.dockerfile.text = `${parts.dockerfile.text.replace("-slim", "-slim AS api")}${from}\nCMD ["celery", "worker"]\n`;
    const found = (await verifyParts(parts)).verdict.checks.find(({ id }) => id === "dockerfile.image");
    expect(found).toMatchObject({ verdict: "fail", hint: "it is what the stage api says: --target api" });
    // Nor the other way round.
    parts.dockerfile.text = `${from}\nCMD ["celery", "worker"]\n${apiParts().dockerfile.text}`;
    parts.dockerfile.target = "worker";
    const asked = (await verifyParts(parts)).verdict.checks.find(({ id }) => id === "dockerfile.image");
    expect(asked).toMatchObject({ verdict: "fail", hint: "it is what the last stage says: leave --target out" });
  });
});

describe("dockerfile.ignore", () => {
  it("asks of folders alone whether an .env in them would be taken", async () => {
    const found = await evidence("dockerfile.ignore", (dockerfile) => {
      dockerfile.ignore = ".git\n";
      dockerfile.text = dockerfile.text.replace("COPY app app", "COPY app app\nCOPY README.md ./");
    });
    expect(found).toEqual(["Dockerfile:4: COPY app would take app/.env: environment file"]);
  });
});

/** A project in a folder of its own. */
function project(files: Record<string, string>): string {
  const folder = temporary();
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

describe("the place of a Dockerfile", () => {
  it("has its own ignore file, and the context that its COPY means", () => {
    const folder = project({
      "docker/api.Dockerfile": "FROM scratch\nCOPY app app\n",
      "docker/api.Dockerfile.dockerignore": "**/.env\n",
      ".dockerignore": "app\n",
      "app/main.py": "",
    });
    const facts = readDockerfileFacts("docker/api.Dockerfile", folder);
    expect(facts.ignore).toEqual({ file: "docker/api.Dockerfile.dockerignore", text: "**/.env\n" });
    expect(facts.context).toContain("app/main.py");
    expect(readDockerfileFacts(path.join(folder, "docker", "api.Dockerfile"), "/nowhere").context).toEqual([
      "api.Dockerfile",
      "api.Dockerfile.dockerignore",
    ]);
  });

  it("knows stages by their name and number", () => {
    const folder = project({ Dockerfile: "FROM a:1 AS api\nFROM b:1\n" });
    expect(readDockerfileFacts("Dockerfile", folder, "API").target?.index).toBe(0);
    expect(readDockerfileFacts("Dockerfile", folder, "1").target?.index).toBe(1);
    expect(() => readDockerfileFacts("Dockerfile", folder, "apy")).toThrow(
      expect.objectContaining({ code: "SHEAF_NO_DOCKERFILE", hints: ["--target api"] }),
    );
  });
});

const recipe = (base: string, more = "") => `ARG BASE=${base}
FROM $BASE AS tools
ENV LEVEL=1
RUN mkdir -p /srv/made   && \\
    # of two lines
    echo "$LEVEL" > /srv/made/level
FROM tools AS api
ARG EXTRA=none
COPY app /srv/app
${more}
RUN echo $EXTRA > /srv/made/extra
LABEL team="the shop"
ENV MODE="in use" PATH=$PATH:/srv
WORKDIR /srv/app
USER 10001:10001
EXPOSE 8000/tcp 9000
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --timeout=2s --start-period=1m --retries=4 CMD test -e /srv/app/main.py
CMD sleep  60
FROM tools AS worker
CMD ["sleep", "61"]
`;

interface Built {
  folder: string;
  image: Parameters<typeof verifyImage>[0]["image"];
}

/** An image of the engine's own builder. */
async function builtBy(text: string, { buildkit, target }: { buildkit: boolean; target?: string }): Promise<Built> {
  const folder = project({ Dockerfile: text, "app/main.py": "x = 1\n", ".dockerignore": ".git\n**/.env\n" });
  const client = docker?.command ?? "";
  const tag = `sheaf-test-dockerfile-${randomBytes(4).toString("hex")}`;
  onTestFinished(async () => void (await output(client, ["rmi", "--force", tag]).catch(() => "")));
  const words = ["build", "--tag", tag, ...(target === undefined ? [] : ["--target", target]), folder];
  await output("env", [`DOCKER_BUILDKIT=${buildkit ? 1 : 0}`, client, ...words], 100_000);
  const store = openStore(path.join(folder, "store"));
  onTestFinished(() => store.dispose());
  const opened = await openImageReference(`docker-daemon:${tag}`, { store });
  onTestFinished(() => opened.close());
  return { folder, image: opened.image };
}

/** What dockerfile.* say of an image and a Dockerfile, empty where they pass. */
async function verdictsOf({ image, folder }: Built, target?: string): Promise<Record<string, string>> {
  const dockerfile = readDockerfileFacts("Dockerfile", folder, target);
  const contract = resolveContract({ name: "built", runtime: image.config.config ?? {} });
  const facts = new ImageFacts({ files: new Map(), secrets: [], lost: [], layers: [], problems: [] });
  const { signal } = new AbortController();
  const { verdict } = await verifyImage({ name: "built", image, facts, contract, dockerfile, signal, notRunning: "-" });
  const own = verdict.checks.filter(({ group }) => group === "dockerfile");
  return Object.fromEntries(
    own.map(({ id, verdict, evidence }) => [id, verdict === "pass" ? "" : (evidence ?? []).join("\n")]),
  );
}

/** A base that Docker has, of which nothing but a shell is asked. */
async function localBase(): Promise<string | undefined> {
  if (!requireOrSkip("Docker", docker)) return undefined;
  const images = await output(docker?.command ?? "", ["images", "--format", "{{.Repository}}:{{.Tag}}"]);
  return images.split("\n").find((name) => /^(?:debian|python|busybox):(?!latest|<)/.test(name));
}

const fine = { "dockerfile.image": "", "dockerfile.args": "", "dockerfile.base": "", "dockerfile.ignore": "" };
const edits: [from: string, to: string, found: RegExp][] = [
  ["echo $EXTRA", "echo 2 $EXTRA", /RUN echo 2 \$EXTRA > \/srv\/made\/extra is not in the image's history/],
  ["LEVEL=1", "LEVEL=2", /ENV LEVEL=2, the image has 1/],
  ['"the shop"', '"the shops"', /LABEL team=the shops, the image has the shop/],
  ["sleep  60", "sleep 59", /starts sleep 59/],
  ["--interval=10s", "--interval=11s", /--interval=11s, the image has 10 s/],
  ["9000", "9001", /EXPOSE 9001/],
];

const base = (await localBase()) ?? "";
const canBuildKit = (await buildKit()) !== undefined;

describe.skipIf(base === "")("an image that docker build made (needs Docker and an image to build on)", () => {
  it.each([
    ["BuildKit", true],
    ["the legacy builder", false],
  ])(
    "with %s is what its Dockerfile says, and not what a changed one does",
    async (_name, buildkit) => {
      const base = await localBase();
      if (base === undefined) return;
      const text = recipe(base);
      const built = await builtBy(text, { buildkit, target: "api" });
      expect(await verdictsOf(built, "api")).toEqual(fine);
      for (const [from, to, problem] of edits) {
        fs.writeFileSync(path.join(built.folder, "Dockerfile"), text.replace(from, to));
        expect((await verdictsOf(built, "api"))["dockerfile.image"]).toMatch(problem);
      }
      expect(await verdictsOf(await builtBy(text, { buildkit }))).toEqual(fine);
    },
    200_000,
  );

  it.skipIf(!canBuildKit)(
    "with here-documents, linked copies and mounts is what its Dockerfile says",
    async () => {
      const more = `COPY --link app /srv/linked\nRUN <<END\nset -e\ntouch /srv/made/late\nEND\nRUN --mount=type=cache,target=/var/cache/x touch /srv/made/mounted`;
      const built = await builtBy(`# syntax=${frontend}\n${recipe(base, more)}`, { buildkit: true, target: "api" });
      expect(await verdictsOf(built, "api")).toEqual(fine);
    },
    200_000,
  );
});
