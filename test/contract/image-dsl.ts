import { createHash } from "node:crypto";

import { resolveContract } from "../../src/contract/contract.ts";
import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { sourceHash } from "../../src/contract/facts/source-hash.ts";
import { interestOf } from "../../src/contract/interest.ts";
import { type Verification, verifyImage, type VerifyOptions } from "../../src/contract/verify-image.ts";
import { magicNumber } from "../../src/bytecode/magic.ts";
import type { Image } from "../../src/oci/image.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import type { SheafConfig } from "../../src/project/config/schema.ts";
import { findStage, parseDockerfile } from "../../src/project/evidence/dockerfile.ts";
import { formatRecord, recordHash } from "../../src/wheel/record.ts";
import { buildFatBinary, type ImageSpec } from "../cuda/build-fat-binary.ts";
import { buildLibrary } from "../cuda/build-library.ts";
import { buildElf, type ElfSpec } from "../elf/build-elf.ts";
import { d, f, imageOf, layerOf, s, tarOf, type TarSpec } from "../oci/images.ts";

/** An image as its parts, to be spoilt one at a time before it is built. */
export interface ImageParts {
  layers: TarSpec[][];
  /** Layers above those, as the bytes of their archives: what no writer here makes. */
  archives: Uint8Array[];
  config: RuntimeConfig;
  /** The project's promises. */
  settings: SheafConfig;
  dockerfile: { text: string; ignore?: string; context: string[]; target?: string };
  /** What has to be changed in the finished image. */
  reshape?: (image: Image) => Image;
}

export type Edit = (parts: ImageParts) => void;

/** A small FastAPI image as Sheaf or a good Dockerfile makes it: base, distributions, app. It keeps every promise. */
export function apiParts(): ImageParts {
  return {
    layers: [base(), distributions(), app()],
    archives: [],
    config: {
      User: "10001:10001",
      Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/app", "PYTHONUNBUFFERED=1"],
      Entrypoint: ["/usr/bin/tini", "--"],
      Cmd: ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"],
      ExposedPorts: { "8000/tcp": {} },
      WorkingDir: "/app",
      StopSignal: "SIGTERM",
      Labels: {
        "org.opencontainers.image.title": "shop-api",
        "org.opencontainers.image.source": "https://example.test/shop",
      },
      Healthcheck: {
        Test: ["CMD", "python3", "-c", "import urllib.request as u; u.urlopen('http://localhost:8000/health')"],
        Interval: 30e9,
        Timeout: 3e9,
        StartPeriod: 40e9,
        Retries: 3,
      },
    },
    settings: {
      user: "appuser",
      images: { api: { role: "api", port: 8000, budget: "50MB" } },
      contract: {
        labels: ["org.opencontainers.image.title"],
        "compressed-size": "20MB",
        "layer-size": "10MB",
        "build-args": ["PYTHON_VERSION"],
        env: { PYTHONUNBUFFERED: "1" },
      },
    },
    dockerfile: {
      text: `ARG PYTHON_VERSION=3.12
FROM python:\${PYTHON_VERSION}-slim
WORKDIR /app
COPY app app
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=40s --retries=3 CMD ["python3", "-c", "…"]
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"]
`,
      ignore: ".git\n**/.env\n.venv\n",
      context: ["Dockerfile", ".dockerignore", "README.md", "app/__init__.py", "app/main.py", ".git/…"],
    },
  };
}

/** A distribution with device code: a list of images for each fat binary of its library. */
export function kernels(binaries: ImageSpec[][]): TarSpec[] {
  const { bytes } = buildLibrary({ fatBinaries: binaries.map((images) => buildFatBinary(images)) });
  return distribution({ name: "kernels", version: "1.0", files: { "kernels/_C.so": bytes } });
}

/** The same base with a Celery worker for a GPU. */
export function gpuParts(): ImageParts {
  const parts = apiParts();
  parts.layers[1]?.push(
    ...distribution({
      name: "celery",
      version: "5.4.0",
      files: { "celery/__init__.py": "" },
      scripts: { celery: "celery:main" },
    }),
    ...distribution({
      name: "nvidia-cuda-runtime-cu12",
      version: "12.1.105",
      files: { "nvidia/cuda_runtime/lib/libcudart.so.12": elf({ soname: "libcudart.so.12", needed: ["libc.so.6"] }) },
    }),
    ...kernels([
      [{ sm: 80 }, { sm: 86 }],
      [{ sm: 80 }, { kind: "ptx", sm: 80 }],
    ]),
  );
  parts.layers[2]?.push(f("app/app/worker.py", "from celery import Celery\n\napp = Celery()\n"));
  parts.config = {
    ...parts.config,
    Cmd: ["celery", "-A", "app.worker", "worker", "--pool=solo"],
    ExposedPorts: {},
    Labels: {
      ...parts.config.Labels,
      "org.opencontainers.image.title": "shop-worker",
      "sheaf.cuda.min-driver": "530.30.02",
    },
  };
  parts.settings = {
    ...parts.settings,
    images: { worker: { role: "worker", gpu: { cuda: "12.1", targets: ["a10"] } } },
  };
  parts.dockerfile.text = parts.dockerfile.text
    .replace(/EXPOSE.*\n/, "")
    .replace(/CMD \["uvicorn.*\n/, 'CMD ["celery", "-A", "app.worker", "worker", "--pool=solo"]\n');
  return parts;
}

export function build({ layers, archives, config, reshape = (image) => image }: ImageParts): Image {
  const image = imageOf(
    [...layers, ...archives].map((content) => layerOf(content)),
    { config: { os: "linux", architecture: "amd64", created: "2023-11-14T22:13:20Z", config } },
  );
  return reshape(image);
}

/** Everything but the running checks, as `sheaf verify --static --dockerfile Dockerfile` does it. */
export async function verifyParts(
  parts: ImageParts,
  baseline?: VerifyOptions["baseline"],
  more: Pick<VerifyOptions, "rebuilds"> = {},
): Promise<Verification> {
  const image = build(parts);
  const runtime = image.config.config ?? {};
  const contract = resolveContract({ config: parts.settings, configFile: "pyproject.toml", name: "shop-api", runtime });
  const { signal } = new AbortController();
  const facts = await readImageFacts(image, { interest: interestOf(contract, runtime), signal });
  const { text, ignore, context, target } = parts.dockerfile;
  const parsed = parseDockerfile(text);
  const stage = target === undefined ? undefined : findStage(parsed, target);
  return verifyImage({
    name: "shop-api",
    image,
    facts,
    contract,
    signal,
    notRunning: "--static",
    ...more,
    dockerfile: {
      file: "Dockerfile",
      parsed,
      ...(stage ? { target: stage } : {}),
      ...(ignore === undefined ? {} : { ignore: { file: ".dockerignore", text: ignore } }),
      context,
    },
    ...(baseline ? { baseline } : {}),
  });
}

/** Ids that don't pass, apart from those that don't apply or aren't run. */
export function failing({ verdict }: Verification): string[] {
  return verdict.checks.filter((check) => check.verdict !== "pass" && check.verdict !== "skipped").map(({ id }) => id);
}

export const site = "usr/local/lib/python3.12/site-packages";
const machineFolder = "usr/lib/x86_64-linux-gnu";

export function file(path: string, content: string | Uint8Array, mode = 0o644): TarSpec {
  return { ...f(path), mode, content: typeof content === "string" ? Buffer.from(content) : content };
}

export function program(path: string, spec: ElfSpec = {}): TarSpec {
  return file(
    path,
    elf({ type: "dyn", interpreter: "/lib64/ld-linux-x86-64.so.2", needed: ["libc.so.6"], ...spec }),
    0o755,
  );
}

export function elf(spec: ElfSpec): Uint8Array {
  return buildElf(spec);
}

/** An archive with a block device (POSIX.1-2017, pax: typeflag 4). */
export function deviceArchive(path: string): Uint8Array {
  const tar = tarOf([{ ...f(path), content: new Uint8Array() }]);
  tar[156] = 0x34;
  // The checksum is the sum of all bytes with blanks in its own place.
  tar.fill(0x20, 148, 156);
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `).copy(tar as Buffer, 148);
  return tar;
}

/** Replaces the file of that path, in whichever layer, or adds it to the last. */
export function put(parts: ImageParts, entry: TarSpec): void {
  for (const layer of parts.layers) {
    const at = layer.findIndex(({ path }) => path === entry.path);
    if (at === -1) continue;
    layer[at] = entry;
    return;
  }
  parts.layers.at(-1)?.push(entry);
}

export function remove(parts: ImageParts, path: string): void {
  parts.layers = parts.layers.map((layer) => layer.filter((entry) => entry.path !== path));
}

interface DistributionSpec {
  name: string;
  version: string;
  /** Path in site-packages → content. */
  files: Record<string, string | Uint8Array>;
  requires?: string[];
  /** Console script → `module:function`. */
  scripts?: Record<string, string>;
}

/** An installed distribution with dist-info, RECORD and scripts. */
export function distribution({ name, version, files, requires = [], scripts = {} }: DistributionSpec): TarSpec[] {
  const info = `${name.replaceAll("-", "_")}-${version}.dist-info`;
  const points = Object.entries(scripts).map(([script, target]) => `${script} = ${target}\n`);
  const all: Record<string, string | Uint8Array> = {
    ...files,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n${requires.map((each) => `Requires-Dist: ${each}\n`).join("")}`,
    [`${info}/INSTALLER`]: "pip\n",
    ...(points.length > 0 ? { [`${info}/entry_points.txt`]: `[console_scripts]\n${points.join("")}` } : {}),
  };
  const started = Object.keys(scripts).map((script) =>
    file(`usr/local/bin/${script}`, "#!/usr/local/bin/python3.12\nimport sys\n", 0o755),
  );
  const rows = [
    ...Object.entries(all).map(([path, content]) => {
      const bytes = Buffer.from(content);
      return { path, hash: recordHash(bytes), size: bytes.length };
    }),
    ...started.map(({ path, content = new Uint8Array() }) => ({
      path: `../../../${path.slice("usr/local/".length)}`,
      hash: recordHash(content),
      size: content.length,
    })),
    { path: `${info}/RECORD` },
  ];
  return [
    ...Object.entries(all).map(([path, content]) => file(`${site}/${path}`, content)),
    file(`${site}/${info}/RECORD`, formatRecord(rows)),
    ...started,
  ];
}

/** A package in the database that images without dpkg have. */
export function packageEntries(name: string, files: TarSpec[]): TarSpec[] {
  const sums = files
    .filter(({ type }) => type === "file")
    .map(({ path, content = new Uint8Array() }) => `${createHash("md5").update(content).digest("hex")}  ${path}\n`);
  return [
    ...files,
    file(
      `var/lib/dpkg/status.d/${name}`,
      `Package: ${name}\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: nobody\n`,
    ),
    file(`var/lib/dpkg/status.d/${name}.md5sums`, sums.join("")),
  ];
}

/** An unchecked-hash .pyc of a source (PEP 552). */
export function compiled(source: string, flags = 1): Uint8Array {
  const head = Buffer.alloc(20);
  head.writeUInt16LE(magicNumber("3.12") ?? 0, 0);
  head.writeUInt16LE(0x0a0d, 2);
  head.writeUInt32LE(flags, 4);
  Buffer.from(sourceHash(Buffer.from(source), "3.12") ?? "", "hex").copy(head, 8);
  return head;
}

export const mainSource = "import json\n\nfrom fastapi import FastAPI\n\nfrom app import settings\n\napp = FastAPI()\n";

function base(): TarSpec[] {
  const libc = elf({
    soname: "libc.so.6",
    versionsDefined: ["libc.so.6", "GLIBC_2.2.5", "GLIBC_2.34"],
  });
  return [
    { ...d("tmp"), mode: 0o1777 },
    d("usr/lib"),
    d("usr/bin"),
    s("lib", "usr/lib"),
    s("bin", "usr/bin"),
    s("lib64", "usr/lib64"),
    ...packageEntries("base-files", [
      file("usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'),
      file("etc/debian_version", "12.11\n"),
    ]),
    s("etc/os-release", "../usr/lib/os-release"),
    file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nappuser:x:10001:10001::/home/appuser:/bin/sh\n"),
    file("etc/group", "root:x:0:\nappuser:x:10001:\n"),
    ...packageEntries("libc6", [
      file(`${machineFolder}/libc.so.6`, libc),
      file("usr/lib64/ld-linux-x86-64.so.2", elf({ soname: "ld-linux-x86-64.so.2" }), 0o755),
    ]),
    ...packageEntries("dash", [program("usr/bin/dash"), s("usr/bin/sh", "dash")]),
    ...packageEntries("tini", [
      program("usr/bin/tini", { versionsNeeded: [{ file: "libc.so.6", versions: ["GLIBC_2.34"] }] }),
    ]),
    program("usr/local/bin/python3.12"),
    s("usr/local/bin/python3", "python3.12"),
    file("usr/local/lib/python3.12/os.py", "import sys\n"),
    file("usr/local/lib/python3.12/__pycache__/os.cpython-312.pyc", compiled("import sys\n")),
  ];
}

function distributions(): TarSpec[] {
  return [
    ...distribution({
      name: "fastapi",
      version: "0.115.0",
      files: { "fastapi/__init__.py": "class FastAPI: ...\n" },
      requires: ["starlette<1,>=0.37", 'tomli; python_version < "3.11"', 'httpx; extra == "all"'],
    }),
    ...distribution({ name: "starlette", version: "0.38.6", files: { "starlette/__init__.py": "" } }),
    ...distribution({
      name: "uvicorn",
      version: "0.30.6",
      files: { "uvicorn/__init__.py": "def main(): ...\n" },
      scripts: { uvicorn: "uvicorn:main" },
    }),
    ...distribution({
      name: "alembic",
      version: "1.13.2",
      files: { "alembic/__init__.py": "" },
      scripts: { alembic: "alembic:main" },
    }),
    ...distribution({
      name: "asyncpg",
      version: "0.29.0",
      files: {
        "asyncpg/protocol.cpython-312-x86_64-linux-gnu.so": elf({ needed: ["libc.so.6"] }),
        "asyncpg/__init__.py": "",
      },
    }),
  ];
}

function app(): TarSpec[] {
  return [
    d("app"),
    file("app/app/__init__.py", ""),
    file("app/app/main.py", mainSource),
    file("app/app/settings.py", "import os\n\nDEBUG = bool(os.environ.get('DEBUG'))\n"),
    file("app/app/__pycache__/main.cpython-312.pyc", compiled(mainSource)),
  ];
}
