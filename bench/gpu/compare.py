#!/usr/bin/env python3
"""Runs the torch of a machine with a GPU beside the same torch trimmed by Sheaf, and compares what they compute.

    python bench/gpu/compare.py [--python PATH] [--output FOLDER] [--cpu] [--targets GPUS] [--quick]

It needs a Python with torch (of any version, CUDA 12 or 13), Node, and dist/ of this repository; no network, no root and
no compiler. Nothing of the installed torch is changed: trimmed libraries are copies in a temporary folder.

What runs, each in a process of its own, with `sheaf gpu check --print --models`:

    as it is            the installed libraries
    trimmed             torch and others trimmed for this GPU, NVIDIA's as they are
    trimmed, NVIDIA too NVIDIA's own as well (docs/gpu.md on their licence)
    eager               the same three with CUDA_MODULE_LOADING=EAGER, which loads every kernel at once

Results are held against the CPU in double precision and, where they repeat at all, bit for bit against those of the
libraries as they are. Beside it the driver is asked what it makes of a stand-in for an empty fat binary.

Exit code 0: all is equal; 1: something differs or fails; 3: nothing ran on a GPU. --cpu tries this script where there is none.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import report  # noqa: E402
import standin  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLI = os.path.join(ROOT, "dist", "cli.js")


def main():
    options = arguments()
    os.makedirs(options.output, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="sheaf-gpu-", dir=options.temporary)
    try:
        found = bench(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(save(options, found))
    return {"pass": 0, "fail": 1}.get(found["verdict"], 3)


def save(options, found):
    """After each run, for machines that are lent for minutes."""
    with open(os.path.join(options.output, "gpu.json"), "w") as file:
        json.dump(found, file, indent=2)
    text = report.markdown(found)
    with open(os.path.join(options.output, "gpu.md"), "w") as file:
        file.write(text)
    return text


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has torch")
    parser.add_argument("--node", default=shutil.which("node") or "node")
    parser.add_argument("--output", default=".", help="folder for gpu.json and gpu.md")
    parser.add_argument("--temporary", help="folder with room for a copy of torch and CUDA")
    parser.add_argument("--targets", help="GPUs to trim for; those of this machine unless given")
    parser.add_argument("--cpu", action="store_true", help="compute on the CPU where there is no GPU")
    parser.add_argument("--quick", action="store_true", help="a few operations alone")
    parser.add_argument("--timeout", type=int, default=540, help="seconds for each run")
    return parser.parse_args()


def bench(options, folder):
    program = os.path.join(folder, "check.py")
    with open(program, "w") as file:
        file.write(sheaf(options, ["gpu", "check", "--print"]))
    site = options.site = locate(options.python)
    first = run(options, program, {}, site)
    found = dict(head(options, site, first), runs={"as it is": first}, trimmed={}, comparisons={})
    targets = options.targets or ",".join(sorted({each["capability"] for each in first.get("gpus", [])}))
    if not first["operations"] or not (targets or options.cpu):
        return dict(found, verdict="not run", reason=first.get("reason", ""))
    found["targets"] = targets or "8.6"

    def add(name, *how):
        found["runs"][name] = other = run(options, program, *how)
        found["comparisons"][name] = compare(first, other)
        found["verdict"] = verdict(found)
        save(options, dict(found, verdict="not run", reason="not all has run so far"))
        return other

    variants = {}
    for name, words in (("trimmed", []), ("trimmed, NVIDIA too", ["--prune-nvidia"])):
        to = os.path.join(folder, name.replace(", ", "-").replace(" ", "-"))
        variant = variants[name] = trim(options, site, found["targets"], words, to)
        found["trimmed"][name] = variant["sizes"]
        other = add(name, {}, variant["path"], variant["libraries"])
        other["really"] = loaded_from(other, folder, variant)
    found["standIn"] = standin.ask(options.python, [variant["path"] for variant in variants.values()], options.timeout)
    eager = {"CUDA_MODULE_LOADING": "EAGER"}
    if not options.quick:
        add("eager", eager, site)
        for name, variant in variants.items():
            add("eager, " + name, eager, variant["path"], variant["libraries"])
    found["verdict"] = verdict(found)
    return found


def head(options, site, first):
    return {
        "version": 1,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": first.get("python"),
        "torch": first.get("torch"),
        "cudnn": first.get("cudnn"),
        "driver": first.get("driver"),
        "gpus": first.get("gpus", []),
        "device": first.get("device"),
        "site": site,
        "sheaf": sheaf(options, ["--version"]).strip(),
    }


def sheaf(options, words):
    done = subprocess.run([options.node, CLI] + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode != 0:
        raise SystemExit("sheaf %s failed:\n%s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout


def locate(python):
    """The folder that torch is installed in."""
    code = "import importlib.util, os; print(os.path.dirname(os.path.dirname(importlib.util.find_spec('torch').origin)))"
    path = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
    if not path:
        raise SystemExit("%s has no torch: --python names another" % python)
    return path


PACKAGES = ("torch", "torchvision", "torchvision.libs", "torch.libs", "torchaudio", "triton", "nvidia")


def trim(options, site, targets, words, to):
    """Copies what has device code, trimmed; the rest is found where it is installed."""
    os.makedirs(to)
    sizes, begun = {}, time.time()
    for package in PACKAGES:
        source = os.path.join(site, package)
        if not os.path.isdir(source):
            continue
        if package == "nvidia" and not words:
            os.symlink(source, os.path.join(to, package))
            continue
        text = sheaf(options, ["gpu", "trim", source, "--targets", targets, "-o", os.path.join(to, package), "--json"] + words)
        done = json.loads(text)
        sizes[package] = {"before": done["before"], "after": done["after"], "libraries": done["libraries"]}
    # Metadata, by which packages find out about one another.
    for name in os.listdir(site):
        if name.endswith(".dist-info") and name.split("-")[0] in ("torch", "torchvision", "torchaudio", "triton"):
            os.symlink(os.path.join(site, name), os.path.join(to, name))
    others = trim_others(options, site, targets, words, to) if words else []
    sizes["others"] = {"before": sum(each["before"] for each in others), "after": sum(each["after"] for each in others), "libraries": others}
    libraries = os.path.join(to, ".libraries") if others else None
    return {"path": to, "libraries": libraries, "sizes": sizes, "seconds": time.time() - begun}


def trim_others(options, site, targets, words, to):
    """CUDA's libraries that are installed for the whole system, as in NVIDIA's own images."""
    if os.path.isdir(os.path.join(site, "nvidia")):
        return []
    found = []
    for folder in filter(has_cuda, system_folders(options)):
        for name in sorted(os.listdir(folder)):
            if name.startswith(("libcublas", "libcudnn", "libcusparse", "libcusolver", "libcufft", "libcurand", "libnccl")):
                found.append(os.path.join(folder, name))
    gathered, libraries = os.path.join(to, ".gathered"), os.path.join(to, ".libraries")
    os.makedirs(gathered)
    for path in found:
        if ".so." in path and os.path.isfile(path):
            shutil.copy(os.path.realpath(path), os.path.join(gathered, os.path.basename(path)))
    text = sheaf(options, ["gpu", "trim", gathered, "--targets", targets, "-o", libraries, "--json"] + words)
    shutil.rmtree(gathered)
    return json.loads(text)["libraries"]


def system_folders(options):
    """Where conda, NVIDIA's own images and Debian have CUDA's libraries."""
    prefix = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(options.python))), "lib")
    return [prefix, "/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]


def has_cuda(folder):
    return os.path.isdir(folder) and any(name.startswith("libcublas.so") for name in os.listdir(folder))


FEW = ("conv2d", "matmul", "attention", "sort, long", "nms", "autograd")


def run(options, program, env, path, libraries=None):
    """The report of one process, or why there is none."""
    words = [options.python, program, "--json", "--models"] + (["--cpu"] if options.cpu else [])
    if options.quick:
        words = words[:3] + [word for name in FEW for word in ("--only", name)] + (["--cpu"] if options.cpu else [])
    # What is not in a copy is found where torch is installed.
    environment = dict(os.environ, PYTHONPATH=":".join([path, options.site]), **env)
    folders = [libraries, environment.get("LD_LIBRARY_PATH")] + [each for each in system_folders(options) if has_cuda(each)]
    environment["LD_LIBRARY_PATH"] = ":".join(filter(None, folders))
    begun = time.time()
    try:
        done = subprocess.run(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=options.timeout
        )
    except subprocess.TimeoutExpired:
        return {"verdict": "fail", "reason": "it took longer than %d s" % options.timeout, "operations": []}
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"version": 1,')]
    if not lines:
        reason = "exit code %d: %s" % (done.returncode, done.stderr.strip()[-2000:])
        return {"verdict": "fail", "reason": reason, "operations": []}
    return dict(json.loads(lines[-1]), wall=time.time() - begun)


def loaded_from(found, folder, variant):
    """Of the libraries that were trimmed, how many were really loaded from the copy, and which from elsewhere."""
    trimmed = {
        os.path.basename(each["path"])
        for sizes in variant["sizes"].values()
        for each in sizes["libraries"]
        if each["outcome"] == "trimmed"
    }
    paths = [each["path"] for each in found.get("libraries", []) if os.path.basename(each["path"]) in trimmed]
    return {
        "trimmed": sum(path.startswith(folder) for path in paths),
        "elsewhere": [path for path in paths if not path.startswith(folder)],
    }


def compare(first, other):
    """Each operation of two runs: alike to the last bit, within its tolerance, or not."""
    before = {(each["name"], each["type"]): each for each in first["operations"]}
    after = {(each["name"], each["type"]): each for each in other["operations"]}
    counts = {"identical": 0, "close": 0, "not comparable": 0, "different": []}
    for key, known in before.items():
        kind, note = judge(known, after.get(key))
        if kind == "different":
            counts[kind].append({"name": key[0], "type": key[1], "note": note})
        else:
            counts[kind] += 1
    return counts


def judge(known, each):
    if each is None:
        return "different", "it did not run"
    if "digest" in known and known["digest"] == each.get("digest"):
        return "identical", None
    if known["verdict"] != "pass" and known["verdict"] == each["verdict"]:
        return "not comparable", None
    if each["verdict"] != "pass":
        return "different", each.get("note", each["verdict"])
    if known["repeatable"] and each["repeatable"]:
        return "different", "repeats, and differs from the libraries as they are"
    return "close", None


def verdict(found):
    if any(each["different"] for each in found["comparisons"].values()) or found.get("standIn", {}).get("verdict") == "fail":
        return "fail"
    elsewhere = any(each.get("really", {}).get("elsewhere") for each in found["runs"].values())
    return "pass" if found["device"] == "cuda" and not elsewhere else "not run"


if __name__ == "__main__":
    sys.exit(main())
