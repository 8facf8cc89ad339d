import { driverFunctions } from "../driver-functions.ts";
import { operationsProgram } from "./operations.ts";

/**
 * A program for Python 3.8 and later, which holds what a GPU computes with torch against the same in double precision on the
 * CPU. It needs nothing of Sheaf and runs wherever the libraries are: in a container, in a pod, in a virtual environment.
 *
 *     python - [--json] [--cpu] [--models] [--only NAMES] < program
 *
 * Exit code 0: everything ran and agrees; 1: something does not; 3: nothing was computed, for want of a GPU or of torch.
 */
export const checkProgram = `${String.raw`
import ctypes
import hashlib
import json
import os
import re
import sys
import time

SEED = 20
# Largest difference over the largest value, of random inputs of these sizes.
TOLERANCE = {"fp32": 2e-4, "fp16": 1e-2, "bf16": 6e-2, "int": 0.0}
MISSING = re.compile(r"Error in dlopen|cannot open shared object|undefined symbol|NOT_SUPPORTED|SUBLIBRARY_LOADING_FAILED", re.I)
UNSUPPORTED = re.compile(r"not implemented for|not supported (?:on|for|by) (?:this|your|the)|unsupported (?:scalar|data) ?type|does not support", re.I)


def main(words):
    only = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--only"]
    report = check("--cpu" in words, "--models" in words, only)
    if "--json" in words:
        print(json.dumps(report), flush=True)
    else:
        show(report)
    # Libraries of a GPU that failed may fail again as they are unloaded.
    sys.stdout.flush()
    os._exit({"pass": 0, "fail": 1}.get(report["verdict"], 3))


def check(cpu, with_models, only):
    report = {"version": 1, "python": "%d.%d.%d" % sys.version_info[:3], "loading": os.environ.get("CUDA_MODULE_LOADING", "")}
    report.update(ask_driver())
    report.update({"operations": [], "libraries": [], "device": None})
    begun = time.perf_counter()
    try:
        import torch
    except Exception as problem:
        absent = isinstance(problem, ModuleNotFoundError) and problem.name == "torch"
        report["torch"] = None
        report["reason"] = "there is no torch" if absent else "torch can't be imported: " + first_line(problem)
        report["verdict"] = "not run" if absent else "fail"
        return report
    report["torch"] = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "seconds": time.perf_counter() - begun,
        "architectures": architectures(torch),
    }
    report["cudnn"] = version_of_cudnn(torch)
    usable = torch.version.cuda is not None and torch.cuda.is_available()
    if usable or cpu:
        report["device"] = "cuda" if usable else "cpu"
        report.update(compute(torch, report["device"], with_models, only))
    else:
        report["reason"] = "torch has no CUDA" if torch.version.cuda is None else "torch sees no GPU"
    report["libraries"] = libraries()
    report["verdict"] = verdict(report)
    return report


def verdict(report):
    seen = [each["verdict"] for each in report["operations"]]
    if "fail" in seen:
        return "fail"
    # What ran on the CPU says nothing of a GPU.
    return "pass" if report["device"] == "cuda" and "pass" in seen else "not run"


def ask_driver():
    found = {"driver": None, "gpus": []}
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        number = ctypes.c_int(0)
        known = cuda.cuDriverGetVersion(ctypes.byref(number)) == 0
        cuda_version = "%d.%d" % (number.value // 1000, number.value % 1000 // 10) if known else ""
        found["driver"] = {"version": driver_version(), "cuda": cuda_version}
        status = cuda.cuInit(0)
        if status != 0:
            found["driver"]["problem"] = error(cuda, status)
        elif cuda.cuDeviceGetCount(ctypes.byref(number)) == 0:
            found["gpus"] = [
                {"name": name, "capability": "%d.%d" % (sm // 10, sm % 10)} for name, sm in gpus(cuda, number.value)
            ]
    except OSError:
        pass
    return found


def architectures(torch):
    try:
        return torch.cuda.get_arch_list() if torch.version.cuda else []
    except Exception:
        return []


def version_of_cudnn(torch):
    try:
        return torch.backends.cudnn.version()
    except Exception as problem:
        return first_line(problem)


def compute(torch, device, with_models, only):
    settle(torch)
    begun = time.perf_counter()
    torch.zeros(1, device=device).cpu()
    context = time.perf_counter() - begun
    begun = time.perf_counter()
    first = None
    results = []
    chosen = [each for each in operations(torch) + (models(torch) if with_models else []) if not only or each[0] in only]
    left_out = stubs()
    for name, types, needs, function in chosen:
        for kind in types:
            results.append(run(torch, (name, kind, needs, function), device, left_out))
            if first is None:
                first = time.perf_counter() - begun
    seconds = {"context": context, "first": first, "all": time.perf_counter() - begun}
    return {"operations": results, "seconds": seconds, "memory": memory(torch, device)}


def settle(torch):
    """The same numbers in each run, as far as a GPU gives them."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    matmul = torch.backends.cuda.matmul
    for name in ("tf32", "fp16_reduced_precision_reduction", "bf16_reduced_precision_reduction"):
        setattr(matmul, "allow_" + name, False)
    import warnings

    warnings.simplefilter("ignore")


class Inputs:
    """Tensors of the wanted type on the wanted device; the numbers depend on nothing but their order."""

    def __init__(self, torch, name, rounding, dtype, device):
        self.torch, self.rounding, self.dtype, self.device = torch, rounding, dtype, device
        self.random = torch.Generator().manual_seed(SEED + sum(name.encode()))
        self.others = []

    def __call__(self, *shape, scale=1.0):
        value = self.torch.randn(*shape, generator=self.random, dtype=self.torch.float32) * scale
        return value.to(self.rounding).to(self.dtype).to(self.device)

    def whole(self, limit, *shape):
        return self.torch.randint(limit, shape, generator=self.random).to(self.device)

    def distinct(self, rows, columns):
        """Numbers of which no two in a row are alike, in the type that is asked for."""
        rows = [self.torch.randperm(columns, generator=self.random) for _ in range(rows)]
        return self.torch.stack(rows).to(self.dtype).to(self.device)

    def module(self, module):
        """Ready to be used; its parameters are rounded to the type that is tested."""
        return module.eval().requires_grad_(False).to(self.rounding).to(self.dtype).to(self.device)

    def also(self, *tensors):
        self.others += tensors


def run(torch, operation, device, left_out):
    name, kind, needs, function = operation
    result = {"name": name, "type": kind, "tolerance": TOLERANCE[kind]}
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int": torch.float32}[kind]
    if needs == "torchvision" and not has_torchvision():
        return dict(result, verdict="skipped", note="there is no torchvision")
    if kind == "bf16" and device == "cuda" and torch.cuda.get_device_capability()[0] < 8:
        return dict(result, verdict="skipped", note="this GPU has no bf16")
    try:
        begun = time.perf_counter()
        outputs, others = apply(torch, function, name, dtype, dtype, device)
        result["first"] = time.perf_counter() - begun
        begun = time.perf_counter()
        again = apply(torch, function, name, dtype, dtype, device)
        result["seconds"] = time.perf_counter() - begun
        result["digest"] = digest(outputs + others)
        result["repeatable"] = digest(again[0] + again[1]) == result["digest"]
    except Exception as problem:
        return dict(result, **failure(problem, needs, device, left_out))
    try:
        expected, _ = apply(torch, function, name, dtype, torch.float32 if kind == "int" else torch.float64, "cpu")
    except Exception as problem:
        return dict(result, verdict="skipped", note="the CPU can't compute it: " + first_line(problem))
    result["difference"] = difference(torch, outputs, expected)
    fits = result["difference"] is not None and result["difference"] <= TOLERANCE[kind]
    return dict(result, verdict="pass" if fits else "fail")


def apply(torch, function, name, rounding, dtype, device):
    x = Inputs(torch, name, rounding, dtype, device)
    outputs = function(x)
    if device == "cuda":
        torch.cuda.synchronize()
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    return [[each.detach().to("cpu").contiguous() for each in group] for group in (outputs, x.others)]


def failure(problem, needs, device, left_out):
    text = first_line(problem)
    if UNSUPPORTED.search(str(problem)) and "kernel image" not in str(problem):
        return {"verdict": "skipped", "note": text}
    if device == "cuda" and needs and (needs in left_out or MISSING.search(str(problem))):
        return {"verdict": "left out", "note": text}
    return {"verdict": "fail", "note": text}


def difference(torch, outputs, expected):
    """The largest, over the largest value; None where shapes, whole numbers or what is finite differ."""
    if len(outputs) != len(expected):
        return None
    worst = 0.0
    for one, other in zip(outputs, expected):
        if one.shape != other.shape:
            return None
        if one.numel() == 0:
            continue
        if not other.is_floating_point():
            if not torch.equal(one.to(other.dtype), other):
                return None
            continue
        one, other = one.double(), other.double()
        if not torch.isfinite(one).all() or not torch.isfinite(other).all():
            return None
        scale = max(other.abs().max().item(), 1e-6)
        worst = max(worst, (one - other).abs().max().item() / scale)
    return worst


def digest(tensors):
    hashing = hashlib.sha256()
    for each in tensors:
        hashing.update(str((each.dtype, tuple(each.shape))).encode())
        hashing.update(ctypes.string_at(each.data_ptr(), each.numel() * each.element_size()))
    return hashing.hexdigest()


def memory(torch, device):
    """Bytes of this process, at most so far, and of the GPU that anybody has taken."""
    with open("/proc/self/status") as file:
        resident = next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")), 0)
    free, total = torch.cuda.mem_get_info() if device == "cuda" else (0, 0)
    return {"resident": resident, "gpu": total - free}


def libraries():
    """What of CUDA and torch is really loaded, with the size of each file."""
    with open("/proc/self/maps") as file:
        paths = {line.rstrip("\n").split(None, 5)[5] for line in file if ".so" in line}
    wanted = [path for path in sorted(paths) if CUDA_LIBRARY.search(path)]
    return [{"path": path, "bytes": size_of(path), "stub": is_stub(path)} for path in wanted]


CUDA_LIBRARY = re.compile(r"/(?:lib(?:cu|nv|nccl|torch|c10|caffe2)[^/]*|_C[^/]*)\.so[^/]*$")


def stubs():
    """Names of libraries that are loaded as stubs: cufft."""
    names = [os.path.basename(each["path"]) for each in libraries() if each["stub"]]
    return {re.sub(r"^lib|[-_.].*$", "", name).lower() for name in names}


def is_stub(path):
    if size_of(path) > 4000000:
        return False
    try:
        with open(path, "rb") as file:
            return b"was left out of this image" in file.read()
    except OSError:
        return False


def size_of(path):
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def has_torchvision():
    try:
        import torchvision.ops

        return True
    except Exception:
        return False


def first_line(problem):
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return ("%s: %s" % (type(problem).__name__, lines[0] if lines else ""))[:300]


def show(report):
    driver = report["driver"]
    if driver:
        print("driver    %s, CUDA %s %s" % (driver["version"] or "?", driver["cuda"], driver.get("problem", "")))
    else:
        print("driver    none: libcuda.so.1 is not here")
    for gpu in report["gpus"]:
        print("GPU       %s, compute capability %s" % (gpu["name"], gpu["capability"]))
    if report["torch"]:
        print("torch     %s, CUDA %s, cuDNN %s" % (report["torch"]["version"], report["torch"]["cuda"], report["cudnn"]))
    for each in report["operations"]:
        found = each.get("difference")
        told = each.get("note") or ("something else" if found is None else "%.1e of %.0e" % (found, each["tolerance"]))
        print("%-9s %-22s %-5s %s" % (each["verdict"], each["name"], each["type"], told))
    for each in report["libraries"]:
        print("loaded    %s%s" % (each["path"], ", a stub" if each["stub"] else ""))
    counts = {}
    for each in report["operations"]:
        counts[each["verdict"]] = counts.get(each["verdict"], 0) + 1
    summary = ", ".join("%d %s" % (count, name) for name, count in sorted(counts.items()))
    where = {"cuda": "on the GPU", "cpu": "on the CPU alone"}.get(report["device"], report.get("reason", ""))
    print("%s: %s%s" % (report["verdict"], summary and summary + ", ", where))
`.trimStart()}
${driverFunctions}
${operationsProgram}

if __name__ == "__main__":
    main(sys.argv[1:])
`;
