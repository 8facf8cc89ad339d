import { DockerfileParser } from "dockerfile-ast";
import { array, assert, constantFrom, property, uniqueArray } from "fast-check";
import { describe, expect, it } from "vitest";

import { emitDockerfiles } from "../../src/emit/dockerfile/emit-dockerfile.ts";
import { withPreflight } from "../../src/plan/gpu/preflight.ts";
import { urlProbe } from "../../src/plan/health.ts";
import type { ImagePlan } from "../../src/plan/image-plan.ts";
import { DockerIgnore } from "../../src/project/ignore.ts";
import { planOf, type PlanSpec } from "./plan-of.ts";

const api: PlanSpec = {
  files: ["app/__init__.py", "app/main.py"],
  command: ["uvicorn", "app.main:app"],
  port: 8000,
  install: { kind: "requirements", files: ["requirements/api.txt"] },
};
const worker: PlanSpec = {
  ...api,
  name: "worker",
  role: "worker",
  command: ["celery", "-A", "app.jobs", "worker", "--pool=solo", "--concurrency=1"],
  port: undefined,
  install: { kind: "requirements", files: ["requirements/worker.txt"] },
};

function emitted(plans: ImagePlan[], cudaBase?: string): Record<string, string> {
  return emittedWith(plans, { cudaBase });
}

function emittedWith(plans: ImagePlan[], options: Parameters<typeof emitDockerfiles>[1]): Record<string, string> {
  return Object.fromEntries(emitDockerfiles(plans, options).map(({ path, text }) => [path, text]));
}

function dockerfile(...specs: PlanSpec[]): string {
  return emitted(specs.map(planOf))["Dockerfile"] ?? "";
}

/** Keywords and arguments, as an independent parser reads them. */
function instructions(text: string): [keyword: string, argument: string][] {
  return DockerfileParser.parse(text)
    .getInstructions()
    .map((each) => [each.getKeyword(), each.getArgumentsContent() ?? ""]);
}

function stages(text: string): string[] {
  return instructions(text).flatMap(([keyword, argument]) => (keyword === "FROM" ? [argument] : []));
}

describe("a Dockerfile of one image", () => {
  it("has a builder, the project and the image, each from the slim image of the argument", () => {
    const text = dockerfile(api);
    expect(stages(text)).toEqual(
      ["builder", "project", "api"].map((name) => `python:\${PYTHON_VERSION}-slim AS ${name}`),
    );
    expect(text).toContain("\nARG PYTHON_VERSION=3.12\n");
    expect(text).not.toMatch(/ENABLE_GPU|APP_ENV/);
  });

  it("takes nothing but finished folders from the builders", () => {
    const copies = dockerfile(api).match(/^COPY .*--from=.*$/gm);
    expect(copies).toEqual(["COPY --link --from=builder /opt/venv /opt/venv", "COPY --link --from=project /app /app"]);
  });

  it("asks for health with curl as everybody writes it, when that is configured", () => {
    const text = dockerfile({
      ...api,
      health: urlProbe("http://localhost:8000/health", "curl"),
      packages: [["curl", "asks for health"]],
    });
    expect(text).toContain(
      "HEALTHCHECK --interval=30s --timeout=3s --start-period=40s --retries=3 \\\n    CMD curl -f http://localhost:8000/health || exit 1\n",
    );
    expect(text).toContain("--no-install-recommends curl tini ");
  });

  it("asks with Python where the plan asks with a program of busybox", () => {
    const probe = (spec: PlanSpec) =>
      JSON.parse(
        (instructions(dockerfile(spec)).find(([keyword]) => keyword === "HEALTHCHECK")?.[1] ?? "").replace(
          /^.*?CMD /s,
          "",
        ),
      );
    expect(probe(api)[0]).toBe("python3");
    expect(probe(api).at(-1)).toContain("'http://localhost:8000/health'");
    expect(probe(worker)).toEqual(planOf(worker).config.health?.value.test);
  });

  it("names the Debian packages that wheels and people want, and no other", () => {
    const text = dockerfile({
      ...api,
      packages: [
        ["libgl1", "libGL.so.1, needed by cv2/cv2.abi3.so"],
        ["libglib2.0-0t64", "libgthread-2.0.so.0, needed by cv2/cv2.abi3.so"],
        ["libglx0", "dependency of libgl1"],
        ["libffi8", "libffi.so.8, needed by python3.12/lib-dynload/_ctypes.cpython-312-x86_64-linux-gnu.so"],
        ["ffmpeg", "config"],
        ["poppler-utils", "Dockerfile:12"],
      ],
    });
    expect(text).toContain("--no-install-recommends ffmpeg libgl1 libglib2.0-0 poppler-utils tini \\\n");
    expect(text).toContain("# libgl1: libGL.so.1, needed by cv2/cv2.abi3.so.");
  });

  it("starts from the suite that the libraries are named after, as far as there is an image of it", () => {
    const packages: PlanSpec["packages"] = [["libicu72", "libicuuc.so.72, needed by icu/_icu.so"]];
    const debian = planOf(api).base as Extract<ImagePlan["base"], { kind: "debian" }>;
    const from = (spec: PlanSpec) =>
      new Set(stages(dockerfile({ ...api, ...spec })).map((stage) => stage.split(" ")[0]));
    expect(from({ ...api, packages })).toEqual(new Set(["python:${PYTHON_VERSION}-slim-bookworm"]));
    expect(from({ ...api, packages: [["ffmpeg", "config"]] })).toEqual(new Set(["python:${PYTHON_VERSION}-slim"]));
    expect(from({ ...api, packages, base: { ...debian, codename: "forky" } })).toEqual(
      new Set(["python:${PYTHON_VERSION}-slim"]),
    );
  });

  it("builds sources in the builder, and refuses them where there should be none", () => {
    const text = dockerfile({ ...api, built: ["pycocotools"] });
    const [builder = "", rest = ""] = text.split("AS project");
    expect(builder).toMatch(/# No wheel for this Python, so these are built: pycocotools\./);
    expect(builder).toContain("build-essential");
    expect(rest).not.toContain("build-essential");
    expect(text).not.toContain("--only-binary");
    expect(dockerfile(api)).toContain("--only-binary=:all:");
    expect(dockerfile(api)).not.toContain("build-essential");
  });

  it("leaves modules as they are where the configuration says so", () => {
    expect(dockerfile({ ...api, install: { ...api.install, bytecode: false } })).not.toContain("compileall");
  });

  it("sets what else the plan sets: signal, folders outside, working directory, environment", () => {
    const text = dockerfile({
      ...api,
      stopSignal: "SIGQUIT",
      writable: ["app/uploads", "var/lib/shop"],
      env: { PRICE: '5 $ or "more" \\ less', LOG_LEVEL: "info" },
    });
    expect(text).toContain("\nSTOPSIGNAL SIGQUIT\n");
    expect(text).toContain("install -d -o 10001 -g 10001 uploads");
    expect(text).toContain("\nRUN install -d -o 10001 -g 10001 /var/lib/shop\n");
    expect(text).toContain('PRICE="5 \\$ or \\"more\\" \\\\ less"');
    expect(text).not.toMatch(/^USER root|^USER 0/m);
  });

  it("brings files of other places together, and copies them over the root", () => {
    const text = dockerfile({
      ...api,
      files: [
        "app/main.py",
        ["deploy/gunicorn.conf.py", "etc/gunicorn/gunicorn.conf.py"],
        ["deploy/x.ini", "etc/y.ini"],
      ],
    });
    expect(text).toContain("WORKDIR /project/app\nCOPY app/ app/\n");
    expect(text).toContain("COPY deploy/gunicorn.conf.py /project/etc/gunicorn/\n");
    expect(text).toContain("COPY deploy/x.ini /project/etc/y.ini\n");
    expect(text).toContain("COPY --link --from=project /project/ /\n");
  });

  it("copies folders whole only where all of them ships to one place", () => {
    const text = dockerfile({
      ...api,
      files: [
        ["backend/app/main.py", "app/app/main.py"],
        ["backend/app/x/y.py", "app/app/x/y.py"],
        ["backend/pyproject.toml", "app/pyproject.toml"],
      ],
      install: { kind: "uv.lock", files: ["backend/pyproject.toml", "backend/uv.lock"] },
    });
    expect(text).toContain("\nCOPY backend/pyproject.toml ./\nCOPY backend/app/ app/\n");
    expect(text).toContain("uv sync --project /build/backend --locked");
  });

  it("quotes names that mean something to Docker or to a shell", () => {
    const text = dockerfile({
      ...api,
      project: { name: "it's", version: "1.0" },
      files: ["app/main.py", "a b.txt", "c[1].txt", "d$e.txt", "f*.txt"],
    });
    expect(text).toContain('COPY ["a b.txt","c[[]1].txt","d[$]e.txt","f[*].txt","./"]');
    expect(text).toContain(`'Metadata-Version: 2.1\\nName: it'\\''s\\nVersion: 1.0\\n'`);
  });

  it("says what is refused of a plan that it can't write down", () => {
    const base = { kind: "image", reference: "base/python.tar", digest: "sha256:0", source: "--base" } as const;
    const refused = (spec: PlanSpec) => () => dockerfile({ ...api, ...spec });
    expect(refused({ ...api, base })).toThrow(
      expect.objectContaining({
        code: "SHEAF_DOCKERFILE",
        details: [["base", expect.stringContaining("base/python.tar")]],
      }),
    );
    const composed = planOf(api).base as Extract<ImagePlan["base"], { kind: "debian" }>;
    expect(refused({ ...api, base: { ...composed, shell: false } })).toThrow(
      expect.objectContaining({ details: [["shell", expect.stringContaining("shell = false")]] }),
    );
    expect(refused({ ...api, env: { KEY: "one\ntwo" } })).toThrow(
      expect.objectContaining({ details: [["env", expect.stringContaining("KEY")]] }),
    );
    expect(refused({ ...api, install: { kind: "requirements", files: ["my lock.txt"] } })).toThrow(
      expect.objectContaining({ details: [["file", expect.stringContaining("my lock.txt")]] }),
    );
    expect(refused({ ...api, files: ["app/a\\b.py"] })).toThrow(
      expect.objectContaining({ details: [["file", expect.stringContaining("COPY takes no such name")]] }),
    );
    const debian = { ...planOf(api), python: undefined };
    expect(() => emitted([debian])).toThrow(expect.objectContaining({ code: "SHEAF_DOCKERFILE" }));
  });
});

describe("a Dockerfile of several images", () => {
  const text = dockerfile(api, worker);

  it("has a stage each, and the API is what is built by default", () => {
    expect(stages(text).map((stage) => stage.split(" AS ")[1])).toEqual([
      "builder",
      "builder-api",
      "builder-worker",
      "project",
      "runtime",
      "worker",
      "api",
    ]);
  });

  it("says what they have in common once", () => {
    for (const once of [/^ENTRYPOINT /gm, /^USER 10001:10001$/gm, /groupadd/g, /PYTHONPATH=/g, /^WORKDIR /gm])
      expect([once, text.match(once)?.length]).toEqual([once, once.source.includes("WORKDIR") ? 2 : 1]);
  });

  it("installs once what both install", () => {
    const beat: PlanSpec = { ...worker, name: "beat", role: "beat", command: ["celery", "-A", "app.jobs", "beat"] };
    const shared = dockerfile(api, worker, beat);
    expect(shared.match(/pip .* install/g)).toHaveLength(2);
    expect(shared).toContain("FROM runtime AS beat\nCOPY --link --from=builder-worker");
  });

  it("gives packages to the image that wants them, as root and no longer", () => {
    const own = dockerfile(api, { ...worker, packages: [["libgl1", "libGL.so.1, needed by cv2/cv2.abi3.so"]] });
    const stage = own.slice(own.indexOf("FROM runtime AS worker"), own.indexOf("FROM runtime AS api"));
    expect(stage).toMatch(
      /RUN apt-get update && apt-get install -y --no-install-recommends libgl1 [\s\S]*\nUSER 10001:10001\n/,
    );
    expect(own.slice(own.indexOf("FROM runtime AS api"))).toContain("\nUSER 10001:10001\n");
    expect(own.slice(own.indexOf("AS runtime"), own.indexOf("FROM runtime AS worker"))).not.toContain("USER");
  });

  it("has a name of its own for an image whose name is another stage's, or no stage's", () => {
    const odd = ["builder", "runtime", "api-gpu", "3d"].map((name): PlanSpec => ({ ...worker, name }));
    const names = stages(dockerfile(api, ...odd)).map((stage) => stage.split(" AS ")[1] ?? "");
    expect(names.slice(-5)).toEqual(["image-builder", "image-runtime", "image-api-gpu", "image-3d", "api"]);
    expect(new Set(names).size).toBe(names.length);
  });

  it("writes one lock for what several install", () => {
    const written = {
      kind: "written",
      files: ["requirements-worker.lock"],
      text: "celery==5 --hash=sha256:0\n",
    } as const;
    const install = { ...written, files: ["requirements-worker.lock"] };
    const beat = { ...worker, name: "beat", install: { ...install, files: ["requirements-beat.lock"] } };
    const files = emitted([planOf({ ...worker, install }), planOf(beat)]);
    expect(Object.keys(files)).toEqual(["Dockerfile", ".dockerignore", "requirements-worker.lock"]);
    expect(files["Dockerfile"]).not.toContain("requirements-beat.lock");
  });

  it("gives the same text for the same plans", () => {
    expect(dockerfile(api, worker)).toBe(text);
  });

  it("leaves images of Debian packages to Sheaf", () => {
    const redis = { ...planOf({ ...api, name: "redis" }), python: undefined };
    expect(emitted([planOf(api), redis])).toEqual(emitted([planOf(api)]));
  });
});

describe("a Dockerfile with an image for a GPU", () => {
  const gpu = { ...worker, gpu: { cuda: "12.1" } };
  const files = emitted([
    planOf({ ...api, env: { APP_ENV: "production" } }),
    planOf({ ...gpu, env: { APP_ENV: "production" } }),
  ]);
  const text = files["Dockerfile"] ?? "";

  it("lets ENABLE_GPU choose, and has a sentence for a value that is neither", () => {
    expect(text).toContain("\nARG ENABLE_GPU=false\n");
    expect(text).toContain("\nARG APP_ENV=production\n");
    expect(stages(text).slice(-4)).toEqual([
      "python:${PYTHON_VERSION}-slim AS gpu-refused",
      "api AS gpu-false",
      "worker-gpu AS gpu-true",
      "${REFUSED:-gpu-${ENABLE_GPU:-false}}",
    ]);
    expect(text).toContain("ENABLE_GPU is either true or false, not");
  });

  it("sets what NVIDIA's runtime reads in the stage for a GPU alone", () => {
    const [before = "", after = ""] = text.split("FROM worker AS worker-gpu");
    expect(before).not.toMatch(/NVIDIA_|CUDA_/);
    expect(after).toContain(
      "ENV CUDA_VISIBLE_DEVICES=0 NVIDIA_DRIVER_CAPABILITIES=compute,utility NVIDIA_VISIBLE_DEVICES=all\n",
    );
  });

  it("promises nothing of what is left out when Sheaf composes, and asks no driver", () => {
    const labels = {
      "sheaf.cuda.version": "12.1",
      "sheaf.cuda.min-driver": "525.60.13",
      "sheaf.cuda.targets": "8.6",
      "sheaf.cuda.profile": "inference",
      "sheaf.cuda.left-out": "cufft",
      "sheaf.cuda.nvidia-modified": "true",
    };
    const plain = planOf({ ...gpu, labels, gpu: { cuda: "12.1", targets: ["a10"], capabilities: ["8.6"] } });
    const entrypoint = withPreflight(plain.config.entrypoint, "/usr/local/bin/python3.12");
    const trimmed = { ...plain, config: { ...plain.config, entrypoint } };
    const own = emitted([trimmed])["Dockerfile.gpu"] ?? "";
    expect(own).toMatch(/sheaf\.cuda\.version="?12\.1/);
    expect(own).toMatch(/sheaf\.cuda\.min-driver="?525\.60\.13/);
    expect(own).not.toMatch(/cuda\.(?:targets|profile|left-out|nvidia-modified)|preflight/);
    expect(own).toContain('ENTRYPOINT ["/usr/bin/tini", "--"]');
    expect(own).toContain("# All of CUDA is in it, for all GPUs: sheaf build --image worker leaves out what");
  });

  it("takes device code out in a stage of its own where that is asked for", () => {
    const labels = { "sheaf.cuda.targets": "7.5,8.6", "sheaf.cuda.profile": "inference" };
    const targets = { cuda: "12.1", targets: ["t4", "a10"], capabilities: ["7.5", "8.6"] };
    const part = { source: "profile inference", does: "", dropped: 0, stubbed: 1, bytes: 1 };
    const leftOut = ["cufft", "nccl"].map((name) => ({ ...part, name }));
    const plan = {
      ...planOf({ ...gpu, labels, gpu: { ...targets, pruneNvidia: true } }),
      device: { before: 2, after: 1, leftOut, kept: [], libraries: [] },
    };
    const own = emittedWith([plan], { trim: true })["Dockerfile.gpu"] ?? "";
    expect(own).toContain('docker build -f Dockerfile.gpu --build-context sheaf="$(npm root -g)/sheaf" -t');
    expect(own).toContain("FROM --platform=$BUILDPLATFORM node:22-slim AS trimmed\n");
    expect(own).toMatch(/from=builder,source=\/opt\/venv,target=\/opt\/venv/);
    expect(own).toMatch(
      /gpu trim \/opt\/venv --targets 7\.5,8\.6 --prune-nvidia \\\n +--drop cufft,nccl \\\n +-o \/opt\/trimmed\n/,
    );
    expect(own).toContain("COPY --link --from=trimmed /opt/trimmed /opt/venv\n");
    expect(own).toMatch(/sheaf\.cuda\.targets="?7\.5,8\.6/);
    expect(own).toMatch(/sheaf\.cuda\.profile="?inference/);
    expect(own).not.toContain("All of CUDA is in it");
    const all = emittedWith([planOf(api), plan], { trim: true });
    expect(all["Dockerfile"]).not.toMatch(/trimmed|cuda\.targets/);
    expect(() => emittedWith([planOf(gpu)], { trim: true })).toThrow(/--trim needs GPUs/);
    expect(() => emittedWith([planOf(api)], { trim: true })).toThrow(/--trim has no use/);
  });

  it("has a file of its own that starts from the slim image, and says why", () => {
    const own = files["Dockerfile.gpu"] ?? "";
    expect(stages(own).every((stage) => stage.startsWith("python:${PYTHON_VERSION}-slim AS "))).toBe(true);
    expect(own).toContain("# The wheels bring their own CUDA 12.1, so the base needs none");
    expect(own).toMatch(/CUDA_VISIBLE_DEVICES=0[\s\S]*CMD \["celery", .*"--pool=solo", "--concurrency=1"\]/);
    expect(own).not.toContain("uvicorn");
  });

  it("goes over a CUDA image with a Python that it brings, at one place in both stages", () => {
    const own = emitted([planOf(gpu)], "nvidia/cuda:12.1.1-runtime-ubuntu22.04")["Dockerfile.gpu"] ?? "";
    expect(stages(own).at(-1)).toBe("nvidia/cuda:12.1.1-runtime-ubuntu22.04 AS runtime");
    expect(own).toMatch(
      /UV_PYTHON_INSTALL_DIR=\/opt\/python uv venv --managed-python --python "\$\{PYTHON_VERSION\}" \/opt\/venv/,
    );
    expect(own).toContain(
      "COPY --link --from=builder /opt/python /opt/python\nCOPY --link --from=builder /opt/venv /opt/venv\n",
    );
    expect(own).not.toMatch(/apt-get install[^\n]*python/);
  });

  it("refuses to build sources for a base with an older libc", () => {
    expect(() => emitted([planOf({ ...gpu, built: ["xformers"] })], "nvidia/cuda:12.1.1-runtime-ubuntu22.04")).toThrow(
      expect.objectContaining({ code: "SHEAF_DOCKERFILE" }),
    );
  });

  it("knows an image for a GPU by its wheels, too", () => {
    const detected = planOf({ ...worker, distributions: [["nvidia-cuda-runtime-cu12", "12.4.127"]] });
    expect(emitted([detected])["Dockerfile.gpu"]).toContain("CUDA 12.4");
  });

  it("refuses a CUDA base where no image is for a GPU", () => {
    expect(() => emitted([planOf(api)], "nvidia/cuda:12.1.1-runtime-ubuntu22.04")).toThrow(
      expect.objectContaining({ code: "SHEAF_DOCKERFILE" }),
    );
  });
});

describe("a .dockerignore", () => {
  const ignoreOf = (spec: PlanSpec): DockerIgnore =>
    new DockerIgnore(emitted([planOf(spec)])[".dockerignore"] ?? "", ".dockerignore");
  const keeps = (ignore: DockerIgnore, path: string) => !(ignore.match(path)?.ignored ?? false);

  it("keeps secrets, caches and environments out, wherever they lie", () => {
    const ignore = ignoreOf(api);
    const planted = [
      ".env",
      "app/.env",
      "app/.env.local",
      "certs/dev.key",
      "app/deep/server.pem",
      ".git/config",
      ".venv/bin/pip",
    ];
    const caches = [
      "app/__pycache__/main.pyc",
      ".pytest_cache/x",
      ".coverage",
      "htmlcov/index.html",
      "app/x.log",
      "logs/a.txt",
    ];
    expect(
      [...planted, ...caches, "docs/index.md", "tests/test_a.py", "app/.DS_Store"].filter((path) =>
        keeps(ignore, path),
      ),
    ).toEqual([]);
    expect(
      ["app/main.py", "requirements/api.txt", ".env.example", "app/docs/page.html"].filter(
        (path) => !keeps(ignore, path),
      ),
    ).toEqual([]);
  });

  it("never loses what ships or what the build reads", () => {
    const part = constantFrom(
      "app",
      "docs",
      "tests",
      "venv",
      ".env",
      ".env.example",
      "a.pem",
      "x.log",
      "logs",
      "b.key",
      "c d",
      "e[f].py",
    );
    const path = array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    assert(
      property(uniqueArray(path, { minLength: 1, maxLength: 6 }), path, (files, lock) => {
        const shipped = files.filter((file) => !files.some((other) => other.startsWith(`${file}/`)));
        const ignore = ignoreOf({
          ...api,
          files: shipped,
          install: { kind: "requirements", files: [lock.replaceAll(" ", "_")] },
        });
        expect(shipped.filter((file) => !keeps(ignore, file))).toEqual([]);
        expect(keeps(ignore, lock.replaceAll(" ", "_"))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("keeps out what the project withholds and excludes, and what it writes", () => {
    const ignore = ignoreOf({
      ...api,
      writable: ["app/uploads"],
      withheld: [
        { path: "app/notes.ipynb", reason: "ignored", rule: "default: notebooks" },
        { path: "big/", reason: "ignored", rule: ".dockerignore:3" },
        { path: "app/service.json", reason: "secret", rule: "holds a private key" },
      ],
      install: { ...api.install, excluded: ["processed_images/", "*.sqlite3", "/data", "app/tmp"] },
    });
    const out = [
      "app/notes.ipynb",
      "big/a",
      "app/service.json",
      "uploads/a.jpg",
      "processed_images/a",
      "x/y.sqlite3",
      "data/a",
      "app/tmp/x",
    ];
    expect(out.filter((path) => keeps(ignore, path))).toEqual([]);
    expect(keeps(ignore, "app/data/x")).toBe(true);
  });
});
