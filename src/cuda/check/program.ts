import { driverFunctions } from "../driver-functions.ts";
import { computeProgram } from "./compute.ts";
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
${computeProgram}
${operationsProgram}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
`;
