import { driverFunctions } from "../driver-functions.ts";

/**
 * The program that asks the driver before the image's command starts, and then becomes that command. It is Python 3.8
 * without anything but the standard library; `IMAGE` stands before it as a dictionary.
 *
 * The driver is asked by a child: one that hangs or dies of it costs a line, never the start. What Python changes of a
 * process (ignored signals) is undone before the command takes over, so it has the PID, the signals, the environment and
 * the exit code that it would have had.
 *
 * Which code runs on which GPU is decided as in architecture.ts; a test holds the two against one another.
 */
export const preflightProgram = String.raw`
import os
import sys

NO_DEVICE = 100
EMBEDDED = (53, 62, 72, 87, 101)
SECONDS = 20
UNFIT = 69
ENOENT, ENOEXEC, ENOTDIR = 2, 8, 20


def main(command):
    mode = os.environ.get("SHEAF_GPU_PREFLIGHT", "warn").strip().lower()
    problem = None
    if mode != "off":
        try:
            problem = ask()
        except Exception:
            pass
    if problem:
        say(problem)
        if mode == "strict":
            say("SHEAF_GPU_PREFLIGHT is strict: the command is not started")
            os._exit(UNFIT)
    become(command)


def say(text):
    try:
        os.write(2, ("sheaf: " + text + "\n").encode("utf-8", "replace"))
    except OSError:
        pass


def ask():
    """What is wrong, as one line; None when all is well."""
    import select

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, (finding() or "well").encode("utf-8", "replace"))
        finally:
            os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], SECONDS)
    if not ready:
        os.kill(child, 9)
        os.waitpid(child, os.WNOHANG)
        return "the GPU's driver did not answer in %d s" % SECONDS
    text = os.read(reader, 4096).decode("utf-8", "replace")
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "the GPU's driver broke down as it was asked (signal %d)" % os.WTERMSIG(status)
    return None if text in ("", "well") else text


def finding():
    import ctypes

    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return without("the driver's libcuda.so.1 is not in this container; docker run --gpus all brings it")
    number = ctypes.c_int(0)
    if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0:
        knows = (number.value // 1000, number.value % 1000 // 10)
        if knows < version(IMAGE["driver-cuda"]):
            return "the driver knows CUDA %d.%d%s: CUDA %s in this image needs driver %s or newer" % (
                knows + (driver(), IMAGE["cuda"], IMAGE["min-driver"])
            )
    status = cuda.cuInit(0)
    if status == NO_DEVICE:
        return without("the driver shows none" + hidden())
    if status != 0:
        return without("the driver answers " + error(cuda, status))
    if cuda.cuDeviceGetCount(ctypes.byref(number)) != 0 or number.value == 0:
        return without("the driver shows none" + hidden())
    unfit = [each for each in gpus(cuda, number.value) if not fits(each[1])]
    if not unfit:
        return None
    names = ", ".join("%s (%d.%d)" % (name, sm // 10, sm % 10) for name, sm in unfit)
    return "this image has no code for %s: it is made for %s" % (names, ", ".join(IMAGE["targets"]))


def without(reason):
    return "no GPU: working on the CPU (%s)" % reason


def hidden():
    for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        value = os.environ.get(name)
        if value in ("", "-1", "none", "void", "NoDevFiles"):
            return "; %s is %s" % (name, value or "empty")
    return ""


${driverFunctions.trim()}


def fits(gpu):
    code = IMAGE["code"]
    return gpu < 10 or not code or any(runs_on(each, gpu) for each in code)


def runs_on(name, gpu):
    kind, _, rest = name.partition("_")
    sm = int(rest.rstrip("af"))
    same_major = sm // 10 == gpu // 10
    if rest.endswith("a"):
        return sm == gpu
    if rest.endswith("f"):
        return same_major and sm <= gpu
    if kind == "compute":
        return sm <= gpu
    return sm == gpu or (same_major and sm < gpu and sm not in EMBEDDED)


def driver():
    found = driver_version()
    return found and " (%s)" % found


def version(text):
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def become(command):
    """As execvp(3) does it, which gives a script without an interpreter to the shell."""
    restore_signals()
    name = command[0] if command else ""
    if not name:
        say("there is no command to start")
        os._exit(127)
    folders = [""] if "/" in name else os.environ.get("PATH", os.defpath).split(":")
    denied = False
    for path in [os.path.join(folder, name) for folder in folders]:
        try:
            os.execv(path, command)
        except OSError as error:
            if error.errno == ENOEXEC:
                os.execv("/bin/sh", ["/bin/sh", path] + command[1:])
            denied = denied or error.errno not in (ENOENT, ENOTDIR)
    say("%s: %s" % (name, "it can't be executed" if denied else "there is no such program"))
    os._exit(126 if denied else 127)


def restore_signals():
    """Python ignores these two, and what is ignored stays so for the command."""
    try:
        import _signal

        for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
            _signal.signal(number, _signal.SIG_DFL)
    except Exception:
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
`;
