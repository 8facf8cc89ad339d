import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";

import { d, digestOf, f, h, layerOf, reshaped, tarOf } from "../oci/images.ts";
import {
  apiParts,
  compiled,
  deviceArchive,
  distribution,
  type Edit,
  elf,
  file,
  gpuParts,
  type ImageParts,
  mainSource,
  packageEntries,
  program,
  put,
  remove,
  site,
} from "./image-dsl.ts";

/** One image that breaks exactly one promise. */
export interface Defect {
  id: string;
  /** What is wrong with it, for the test's name. */
  what: string;
  /** The good image that it is made of. */
  parts: () => ImageParts;
  spoil: Edit;
}

const api = (id: string, what: string, spoil: Edit): Defect => ({ id, what, parts: apiParts, spoil });
const gpu = (id: string, what: string, spoil: Edit): Defect => ({ id, what, parts: gpuParts, spoil });

const lastLayer = (parts: ImageParts) => parts.layers.at(-1) ?? [];

/** Bytes that don't compress, the same in every run of a test that counts them. */
const noise = (size: number): Uint8Array => randomBytes(size);

export const defects: Defect[] = [
  // Format: rows of the validator's table.
  api("format.readable", "a layer in gzip that is cut short", (parts) => {
    const layer = layerOf(lastLayer(parts));
    const blob = gzipSync(tarOf(lastLayer(parts))).subarray(0, -20);
    parts.reshape = (image) =>
      reshaped(
        {
          ...image,
          layers: [
            ...image.layers.slice(0, -1),
            {
              ...layer,
              digest: digestOf(blob),
              size: blob.length,
              compressed: async function* () {
                yield blob;
              },
            },
          ],
        },
        {
          manifest: {
            layers: image.manifest.layers.map((each, index) =>
              index === 2 ? { ...each, digest: digestOf(blob), size: blob.length } : each,
            ),
          },
        },
      );
    parts.config.Cmd = ["python3", "-V"];
    parts.dockerfile.text = parts.dockerfile.text.replace(/CMD \["uvicorn.*/, 'CMD ["python3", "-V"]');
  }),
  api("format.digests", "a layer whose gzip header differs from what its digest names", (parts) => {
    parts.reshape = (image) => {
      const blob = Buffer.from(gzipSync(tarOf(lastLayer(parts))));
      blob[4] = (blob[4] ?? 0) ^ 0xff;
      return {
        ...image,
        layers: image.layers.map((layer, index) =>
          index === 2
            ? {
                ...layer,
                compressed: async function* () {
                  yield blob;
                },
              }
            : layer,
        ),
      };
    };
  }),
  api("format.sizes", "a descriptor that says three bytes", (parts) => {
    parts.reshape = (image) => ({
      ...image,
      layers: image.layers.map((layer, index) => (index === 2 ? { ...layer, size: 3 } : layer)),
    });
  }),
  api("format.diff-ids", "a diffID of another archive", (parts) => {
    parts.reshape = (image) => ({
      ...image,
      layers: image.layers.map((layer, index) =>
        index === 2 ? { ...layer, diffId: digestOf(Buffer.from("other")) } : layer,
      ),
    });
  }),
  api("format.manifest", "a config without rootfs.type", (parts) => {
    parts.reshape = (image) => reshaped(image, { config: { rootfs: { diff_ids: image.config.rootfs.diff_ids } } });
  }),
  api("format.layers", "126 layers", (parts) => {
    parts.settings = { ...parts.settings, contract: { ...parts.settings.contract, layers: 200 } };
    for (let index = 0; index < 123; index++) parts.layers.push([f(`app/data/${index}`)]);
  }),
  api("format.history", "a history that tells of more layers than there are", (parts) => {
    parts.reshape = (image) =>
      reshaped(image, { config: { history: [...(image.config.history ?? []), { created_by: "RUN true" }] } });
  }),
  api("format.paths", "a path that leads out", (parts) => lastLayer(parts).push(f("../evil"))),
  api("format.duplicates", "a path twice, written two ways", (parts) =>
    lastLayer(parts).push(file("./app/app/__init__.py", "")),
  ),
  api("format.hard-links", "a hard link to a layer below", (parts) =>
    lastLayer(parts).push(h("app/passwd", "etc/passwd")),
  ),
  api("format.merged-usr", "a folder over the link /lib", (parts) => {
    // The link leads nowhere that matters here: with the real one the loader would be lost too.
    parts.layers[0]?.push({ ...f("srv"), type: "symlink", target: "var/srv", content: undefined });
    lastLayer(parts).push(d("srv"), f("srv/data"));
  }),

  // Config.
  api("config.user", "a name instead of a number", (parts) => {
    parts.config.User = "appuser";
    parts.dockerfile.text = parts.dockerfile.text.replace("USER 10001:10001", "USER appuser");
  }),
  api("config.user-name", "a number that passwd doesn't know", (parts) => {
    put(parts, file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"));
  }),
  api("config.healthcheck", "an interval of five seconds", (parts) => {
    parts.config.Healthcheck = { ...parts.config.Healthcheck, Interval: 5e9 };
    parts.dockerfile.text = parts.dockerfile.text.replace("--interval=30s", "--interval=5s");
  }),
  api("config.healthcheck-probe", "a probe with curl, which isn't there", (parts) => {
    parts.config.Healthcheck = {
      ...parts.config.Healthcheck,
      Test: ["CMD-SHELL", "curl -f http://localhost:8000/health || exit 1"],
    };
  }),
  api("config.command", "site-packages without the scripts", (parts) => {
    remove(parts, "usr/local/bin/uvicorn");
    // Its RECORD would tell as well.
    remove(parts, `${site}/uvicorn-0.30.6.dist-info/RECORD`);
    remove(parts, `${site}/uvicorn/__init__.py`);
  }),
  api("config.exec-form", "a shell that stays PID 1's child", (parts) => {
    parts.config.Cmd = ["/bin/sh", "-c", "uvicorn app.main:app --host 0.0.0.0 --port 8000"];
    parts.dockerfile.text = parts.dockerfile.text.replace(
      /CMD \["uvicorn.*/,
      "CMD uvicorn app.main:app --host 0.0.0.0 --port 8000",
    );
  }),
  api("config.ports", "another port than the server's", (parts) => {
    parts.config.ExposedPorts = { "9000/tcp": {} };
    parts.dockerfile.text = parts.dockerfile.text.replace("EXPOSE 8000", "EXPOSE 9000");
  }),
  api("config.stop-signal", "a signal that nothing can handle", (parts) => {
    parts.config.StopSignal = "SIGKILL";
    parts.dockerfile.text = parts.dockerfile.text.replace("SIGTERM", "SIGKILL");
  }),
  api("config.env", "a promised variable with another value", (parts) => {
    parts.config.Env = ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/app", "PYTHONUNBUFFERED=0"];
  }),
  api("config.secret", "a token as a build argument", (parts) => {
    parts.reshape = (image) =>
      reshaped(image, {
        config: {
          history: [
            ...(image.config.history ?? []),
            { created_by: "|1 INDEX_TOKEN=q8Zr2LmV0xTc pip install .", empty_layer: true },
          ],
        },
      });
  }),
  api("config.labels", "without the promised label", (parts) => {
    parts.config.Labels = {};
  }),

  // Files.
  api("files.secret", "an environment file that a later layer deletes", (parts) => {
    lastLayer(parts).push(file("app/.env", "DATABASE_URL=postgresql://shop:hunter22@db/shop\n"));
    parts.layers.push([file("app/.wh..env", "")]);
  }),
  api("files.vcs", "the repository's history", (parts) =>
    lastLayer(parts).push(file("app/.git/HEAD", "ref: refs/heads/main\n")),
  ),
  api("files.caches", "pip's cache", (parts) => lastLayer(parts).push(file("root/.cache/pip/http/a", "x".repeat(100)))),
  api("files.apt", "apt's lists", (parts) =>
    lastLayer(parts).push(file("var/lib/apt/lists/example.test_Packages", "Package: a\n")),
  ),
  api("files.compilers", "gcc", (parts) => {
    parts.layers[0]?.push(...packageEntries("gcc-12", [program("usr/bin/x86_64-linux-gnu-gcc-12")]));
  }),
  api("files.tests", "the app's tests", (parts) =>
    lastLayer(parts).push(file("app/tests/test_main.py", "def test_main(): ...\n")),
  ),
  api("files.world-writable", "code that everybody may change", (parts) =>
    put(parts, file("app/app/settings.py", "import os\n", 0o666)),
  ),
  api("files.tmp", "/tmp with 0755", (parts) => put(parts, { ...d("tmp"), mode: 0o755 })),
  api("files.setuid", "a setuid program", (parts) => {
    parts.layers[0]?.push(...packageEntries("mount", [{ ...program("usr/bin/mount"), mode: 0o4755 }]));
  }),
  api("files.devices", "a disk's device file", (parts) => void parts.archives.push(deviceArchive("app/disk"))),
  api("files.deleted", "two megabytes that a later layer deletes", (parts) => {
    lastLayer(parts).push(file("app/model.bin", noise(2_000_000)));
    parts.layers.push([file("app/.wh.model.bin", "")]);
  }),
  api("files.replaced", "two megabytes shipped again for their mode", (parts) => {
    const content = noise(2_000_000);
    lastLayer(parts).push(file("app/model.bin", content));
    parts.layers.push([file("app/model.bin", content, 0o600)]);
  }),
  api("files.duplicates", "the same library twice", (parts) => {
    const content = Buffer.alloc(21_000_000, "library");
    lastLayer(parts).push(file("app/a/model.bin", content), file("app/b/model.bin", content));
  }),

  // Python.
  api("python.start", "an app beside where the command looks", (parts) => {
    parts.layers[2] = lastLayer(parts).map((entry) => ({ ...entry, path: entry.path.replace(/^app/, "srv") }));
  }),
  api("python.imports", "an import that nothing provides", (parts) => {
    const source = mainSource.replace("import json", "import structlog");
    put(parts, file("app/app/main.py", source));
    put(parts, file("app/app/__pycache__/main.cpython-312.pyc", compiled(source)));
  }),
  api("python.record", "a module that was patched", (parts) =>
    put(parts, file(`${site}/starlette/__init__.py`, "patched = True\n")),
  ),
  api("python.dependencies", "a dependency that is too old", (parts) => {
    parts.layers[1] = (parts.layers[1] ?? []).filter(({ path }) => !path.startsWith(`${site}/starlette`));
    parts.layers[1].push(
      ...distribution({ name: "starlette", version: "0.20.0", files: { "starlette/__init__.py": "" } }),
    );
  }),
  api("python.versions", "a dist-info that an upgrade left", (parts) => {
    parts.layers[1]?.push(
      file(`${site}/starlette-0.37.0.dist-info/METADATA`, "Metadata-Version: 2.1\nName: starlette\nVersion: 0.37.0\n"),
    );
  }),
  api("python.editable", "an editable install of the builder's folder", (parts) => {
    parts.layers[1]?.push(
      ...distribution({
        name: "shop",
        version: "1.0",
        files: { "shop-1.0.dist-info/direct_url.json": '{"url": "file:///build", "dir_info": {"editable": true}}' },
      }),
    );
  }),
  api("python.scripts", "a script of the builder's environment", (parts) => {
    put(parts, file("usr/local/bin/alembic", "#!/build/.venv/bin/python\nimport sys\n", 0o755));
  }),
  api("python.bytecode", "bytecode with an unchecked hash of an older source", (parts) => {
    put(parts, file("app/app/__pycache__/main.cpython-312.pyc", compiled("import json\n")));
  }),

  // Native.
  api("native.libraries", "a library that only the builder had", (parts) => {
    replaceExtension(parts, { needed: ["libc.so.6", "libpq.so.5"] });
  }),
  api("native.architecture", "an extension module for another architecture", (parts) => {
    replaceExtension(parts, { needed: ["libc.so.6"], machine: 183 });
  }),
  api("native.symbols", "a library that needs a newer glibc", (parts) => {
    replaceExtension(parts, {
      needed: ["libc.so.6"],
      versionsNeeded: [{ file: "libc.so.6", versions: ["GLIBC_2.38"] }],
    });
  }),

  // GPU.
  api("gpu.cuda-absent", "a CUDA build in an API image", (parts) => {
    parts.config.Labels = { ...parts.config.Labels, "sheaf.cuda.min-driver": "530.30.02" };
    parts.layers[1]?.push(
      ...distribution({ name: "torch", version: "2.3.1+cu121", files: { "torch/__init__.py": "" } }),
    );
  }),
  gpu("gpu.one-cuda", "a second CUDA", (parts) => {
    parts.settings = { ...parts.settings, images: { worker: { role: "worker" } } };
    parts.layers[1]?.push(
      ...distribution({ name: "nvidia-cuda-runtime-cu11", version: "11.8.89", files: { "nvidia/other.py": "" } }),
    );
  }),
  gpu("gpu.cuda-version", "another CUDA than the promised one", (parts) => {
    parts.settings = { ...parts.settings, images: { worker: { role: "worker", gpu: { cuda: "12.4" } } } };
  }),
  gpu("gpu.driver-library", "libcuda.so.1 of the builder", (parts) => {
    lastLayer(parts).push(file("usr/local/lib/libcuda.so.1", elf({ soname: "libcuda.so.1", needed: ["libc.so.6"] })));
  }),
  gpu("gpu.targets", "device code that was trimmed for another GPU", (parts) => {
    parts.settings = {
      ...parts.settings,
      images: { worker: { role: "worker", gpu: { cuda: "12.1", targets: ["t4"] } } },
    };
  }),
  gpu("gpu.min-driver", "no word of the driver", (parts) => {
    parts.config.Labels = { "org.opencontainers.image.title": "shop-worker" };
  }),
  gpu("gpu.min-driver", "a driver that came before its CUDA", (parts) => {
    parts.config.Labels = { ...parts.config.Labels, "sheaf.cuda.min-driver": "470.82.01" };
  }),

  // Size.
  api("size.unpacked", "more than its budget", (parts) => {
    parts.settings = { ...parts.settings, images: { api: { role: "api", port: 8000, budget: "40kB" } } };
  }),
  api("size.compressed", "more than its budget", (parts) => {
    parts.settings = { ...parts.settings, contract: { ...parts.settings.contract, "compressed-size": "3kB" } };
  }),
  api("size.layer", "a layer of more than its budget", (parts) => {
    parts.settings = { ...parts.settings, contract: { ...parts.settings.contract, "layer-size": "1kB" } };
  }),
  api("size.layers", "a layer too many", (parts) => {
    parts.settings = { ...parts.settings, contract: { ...parts.settings.contract, layers: 2 } };
  }),

  // Scanners.
  api("scanner.os", "an os-release without a version", (parts) => {
    put(parts, file("usr/lib/os-release", "ID=debian\n"));
  }),
  api("scanner.packages", "a library that no package has", (parts) => {
    parts.layers[0]?.push(
      file("usr/lib/x86_64-linux-gnu/libfoo.so.1", elf({ soname: "libfoo.so.1", needed: ["libc.so.6"] })),
    );
  }),
  api("scanner.distributions", "a vendored copy without metadata", (parts) => {
    parts.layers[1]?.push(file(`${site}/yaml/__init__.py`, ""));
  }),
  api("scanner.history", "a history without the HEALTHCHECK", (parts) => {
    parts.reshape = (image) =>
      reshaped(image, {
        config: {
          history: image.config.history?.filter(({ created_by = "" }) => !created_by.startsWith("HEALTHCHECK")),
        },
      });
  }),

  // Dockerfile.
  api("dockerfile.image", "another command than the Dockerfile's", (parts) => {
    parts.dockerfile.text = parts.dockerfile.text.replace("app.main:app", "app.other:app");
  }),
  api("dockerfile.args", "an argument before FROM that no stage takes up", (parts) => {
    parts.dockerfile.text = `ARG APP_ENV=production\n${parts.dockerfile.text.replace("USER", "ENV APP_ENV=${APP_ENV}\nUSER")}`;
  }),
  api("dockerfile.base", "a base without a tag", (parts) => {
    parts.dockerfile.text = `FROM python AS tools\n${parts.dockerfile.text.replace("ARG PYTHON_VERSION=3.12\n", "")}`
      .replace("${PYTHON_VERSION}", "3.12")
      .replace("WORKDIR", "ARG PYTHON_VERSION=3.12\nLABEL python=$PYTHON_VERSION\nWORKDIR");
  }),
  api("dockerfile.ignore", "a pattern that is anchored to the root", (parts) => {
    parts.dockerfile.ignore = ".git\n.env\n";
  }),
];

function replaceExtension(parts: ImageParts, spec: Parameters<typeof elf>[0]): void {
  parts.layers[1] = (parts.layers[1] ?? []).filter(({ path }) => !path.startsWith(`${site}/asyncpg`));
  parts.layers[1].push(
    ...distribution({
      name: "asyncpg",
      version: "0.29.0",
      files: { "asyncpg/protocol.cpython-312-x86_64-linux-gnu.so": elf(spec), "asyncpg/__init__.py": "" },
    }),
  );
}
