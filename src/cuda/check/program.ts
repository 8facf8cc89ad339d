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
import select
import sys
import time

SEED = 20
# Largest difference over the largest value, of random inputs of these sizes.
TOLERANCE = {"fp32": 2e-4, "fp16": 1e-2, "bf16": 6e-2, "int": 0.0}
# Seconds without a word: loading every kernel at once takes its time.
PATIENCE = 300
MISSING = re.compile(r"Error in dlopen|could not load library|cannot open shared object|undefined symbol|NOT_SUPPORTED|SUBLIBRARY_LOADING_FAILED", re.I)
UNSUPPORTED = re.compile(r"not implemented for|not supported (?:on|for|by) (?:this|your|the)|unsupported (?:scalar|data) ?type|does not support", re.I)


def main(words):
    only = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--only"]
    report = check("--cpu" in words, "--models" in words, only)
    if "--json" in words:
        print(json.dumps(report))
    else:
        show(report)
    return {"pass": 0, "fail": 1}.get(report["verdict"], 3)


def check(cpu, with_models, only):
    report = {"version": 1, "python": "%d.%d.%d" % sys.version_info[:3], "loading": os.environ.get("CUDA_MODULE_LOADING", "")}
    report.update({"driver": None, "gpus": [], "torch": None, "device": None, "operations": [], "libraries": [], "restarts": 0})
    for message in Child(lambda send: send(ask_driver())):
        report.update(message)
    # A library that is missing may end the process: then another one goes on with the next operation.
    done = None
    while done != len(report["operations"]):
        done = len(report["operations"])
        child = Child(lambda send: compute(send, {"cpu": cpu, "models": with_models, "only": only, "from": done}))
        current = None
        for message in child:
            current = message.get("begins", current)
            if "operation" in message:
                report["operations"].append(message["operation"])
                current = None
            report.update(message.get("report", {}))
        if current is not None:
            note = child.ended()
            report["operations"].append(dict(current, **failure_of(note, current["needs"], report["device"], set())))
            report["restarts"] += 1
        elif child.failed():
            report["reason"] = child.ended()
            report["operations"].append({"name": "import", "type": "int", "tolerance": 0.0, "verdict": "fail", "note": child.ended()})
            break
        else:
            break
    report["verdict"] = verdict(report)
    return report


class Child:
    """A process that sends messages; whatever happens to it happens to it alone. No library is loaded in this one."""

    def __init__(self, work):
        self.reader, writer = os.pipe()
        self.errors, errors = os.pipe()
        self.text, self.status, self.late = "", 0, False
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(errors, 2)
            code = 1
            try:
                work(lambda message: os.write(writer, (json.dumps(message) + "\n").encode()))
                code = 0
            except BaseException as problem:
                os.write(2, first_line(problem).encode("utf-8", "replace"))
            finally:
                os._exit(code)
        os.close(writer)
        os.close(errors)

    def __iter__(self):
        rest, open_ones = b"", {self.reader, self.errors}
        while self.reader in open_ones:
            ready = select.select(list(open_ones), [], [], PATIENCE)[0]
            if not ready:
                self.late = True
                os.kill(self.pid, 9)
            for each in ready:
                data = os.read(each, 65536)
                if not data:
                    open_ones.discard(each)
                elif each == self.errors:
                    self.text = (self.text + data.decode("utf-8", "replace"))[-4000:]
                else:
                    lines = (rest + data).split(b"\n")
                    rest = lines.pop()
                    for line in lines:
                        yield json.loads(line)
        self.status = os.waitpid(self.pid, 0)[1]
        os.close(self.reader)
        os.close(self.errors)

    def failed(self):
        return self.status != 0

    def ended(self):
        """How it ended, with the last that it said."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        telling = [line for line in lines if MISSING.search(line)] or lines[-1:]
        said = ": " + telling[0][:300] if telling else ""
        if self.late:
            return "it took longer than %d s%s" % (PATIENCE, said)
        if os.WIFSIGNALED(self.status):
            return "the process ended with signal %d%s" % (os.WTERMSIG(self.status), said)
        return "the process ended with exit code %d%s" % (os.WEXITSTATUS(self.status), said)


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


def compute(send, options):
    begun = time.perf_counter()
    try:
        import torch
    except ModuleNotFoundError as problem:
        if problem.name != "torch":
            raise
        return send({"report": {"reason": "there is no torch"}})
    about = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "seconds": time.perf_counter() - begun,
        "architectures": architectures(torch),
    }
    usable = torch.version.cuda is not None and torch.cuda.is_available()
    send({"report": {"torch": about, "cudnn": version_of_cudnn(torch)}})
    if not usable and not options["cpu"]:
        reason = "torch has no CUDA" if torch.version.cuda is None else "torch sees no GPU"
        return send({"report": {"reason": reason, "libraries": libraries()}})
    device = "cuda" if usable else "cpu"
    send({"report": {"device": device}})
    settle(torch)
    seconds, begun = {}, time.perf_counter()
    torch.zeros(1, device=device).cpu()
    seconds["context"] = time.perf_counter() - begun
    chosen = operations(torch) + (models(torch) if options["models"] else [])
    single = [(each, kind) for each in chosen if not options["only"] or each[0] in options["only"] for kind in each[1]]
    left_out = stubs()
    for (name, _, needs, function), kind in single[options["from"] :]:
        send({"begins": {"name": name, "type": kind, "tolerance": TOLERANCE[kind], "needs": needs}})
        send({"operation": run(torch, (name, kind, needs, function), device, left_out)})
        seconds.setdefault("first", time.perf_counter() - begun)
    seconds["all"] = time.perf_counter() - begun
    send({"report": {"seconds": seconds, "memory": memory(torch, device), "libraries": libraries()}})


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
        return dict(result, **failure_of(first_line(problem), needs, device, left_out))
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


def failure_of(text, needs, device, left_out):
    if UNSUPPORTED.search(text) and "kernel image" not in text:
        return {"verdict": "skipped", "note": text}
    if device == "cuda" and needs and (needs in left_out or MISSING.search(text)):
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
    sys.exit(main(sys.argv[1:]))
`;
