import { formatBytes } from "../../units.ts";
import type { StaticCheck } from "../check.ts";
import { cudaReleases, cudaTraces } from "../facts/cuda.ts";
import { fail, notApplicable, pass } from "../finding.ts";
import { firstOf, sum } from "../lists.ts";
import { fileName } from "../role.ts";

const noCuda = "there is no CUDA in the image";

export const gpuCudaAbsent: StaticCheck = {
  id: "gpu.cuda-absent",
  title: "an image that promises no GPU has no CUDA",
  holds:
    'With `cuda = "none"`, which an API has by default: no library of CUDA by its name, no nvidia-*-cuNN, triton or +cuNNN distribution, no cuda package of Debian.',
  why: "`pip install torch` brings 5 GB of CUDA into an image that never sees a GPU.",
  sources: ["measured: torch 2.3.1 with CUDA 12.1 has 5.1 GB of 5.7"],
  run: ({ facts, contract }) => {
    if (contract.cuda !== "none") return notApplicable("CUDA is allowed by the contract");
    const traces = facts.derived(cudaTraces);
    const [first] = traces;
    if (!first) return pass("no CUDA");
    const bytes = sum(traces, (trace) => trace.bytes);
    return fail(`${first.what}${bytes > 0 ? `, ${formatBytes(bytes)} in all` : ""}`, {
      limit: "none",
      evidence: firstOf(traces.map(({ what, path }) => (path === "" ? what : `${what}: /${path}`))),
      hint: "install the CPU build of what wants it (its own index, or an extra that this image doesn't take)",
    });
  },
};

export const gpuOneCuda: StaticCheck = {
  id: "gpu.one-cuda",
  title: "one CUDA, not two",
  holds: "All runtimes of CUDA that the image has, by library names and distributions, are of one major release.",
  why: "Two frameworks that each bring their own: gigabytes twice, and whichever is loaded first decides which one fails.",
  sources: ["NVIDIA: CUDA compatibility, minor versions"],
  run: ({ facts }) => {
    if (facts.derived(cudaTraces).length === 0) return notApplicable(noCuda);
    const releases = facts.derived(cudaReleases);
    const majors = new Map<string, string[]>();
    for (const [release, what] of releases) {
      const major = release.split(".")[0] ?? release;
      majors.set(major, [...(majors.get(major) ?? []), ...what]);
    }
    const names = [...majors.keys()].toSorted();
    if (names.length <= 1)
      return pass(names.length === 0 ? "no runtime" : `CUDA ${[...releases.keys()].toSorted().join(", ")}`);
    return fail(`CUDA ${names.join(" and ")}`, {
      evidence: names.flatMap((major) =>
        firstOf(
          (majors.get(major) ?? []).map((what) => `${major}: ${what}`),
          4,
        ),
      ),
      hint: "choose builds of both that are made for the same release",
    });
  },
};

export const gpuCudaVersion: StaticCheck = {
  id: "gpu.cuda-version",
  title: "CUDA is of the promised release",
  holds: "The runtime of CUDA that the image has is of the release that the contract names, `12.1`.",
  why: "The release decides which drivers the image runs on.",
  sources: ["NVIDIA: CUDA compatibility"],
  run: ({ facts, contract }) => {
    const { cuda } = contract;
    if (!/^\d/.test(cuda)) return notApplicable("no release of CUDA is promised");
    const releases = [...facts.derived(cudaReleases).keys()].toSorted();
    const fits = (release: string) =>
      release === cuda || (!release.includes(".") && cuda.split(".")[0] === release) || release.startsWith(`${cuda}.`);
    if (releases.length > 0 && releases.every(fits)) return pass(`CUDA ${releases.join(", ")}`, { limit: cuda });
    return fail(releases.length === 0 ? noCuda : `CUDA ${releases.join(", ")}`, {
      limit: cuda,
      hint: `take builds for CUDA ${cuda}`,
    });
  },
};

export const gpuDriverLibrary: StaticCheck = {
  id: "gpu.driver-library",
  title: "the GPU's driver is not shipped",
  holds:
    "No libcuda.so, libnvidia-ml.so or other library of the driver, but for stubs to link with and the compatibility package in a folder of its own.",
  why: "The container toolkit mounts the host's; a shipped one hides it or doesn't fit the kernel module: `driver/library version mismatch`.",
  sources: ["NVIDIA Container Toolkit: architecture", "CUDA compatibility: cuda-compat"],
  run: ({ facts }) => {
    const found = [...facts.files.values()].filter(
      ({ path, type }) => type === "file" && driver.test(fileName(path)) && !/\/(?:stubs|compat)\//.test(path),
    );
    const [first] = found;
    if (!first) return facts.derived(cudaTraces).length === 0 ? notApplicable(noCuda) : pass("none");
    return fail(`/${first.path}, ${formatBytes(first.size)}`, {
      evidence: firstOf(found.map(({ path, layer }) => `/${path} in layer ${layer}`)),
      hint: "remove it: docker run --gpus all brings the host's",
    });
  },
};

const driver =
  /^lib(?:cuda|cudadebugger|nvidia-(?:ml|ptxjitcompiler|nvvm|opencl|encode|fbc|cfg)|nvcuvid|nvoptix)\.so(?:\.[\d.]+)?$/;
