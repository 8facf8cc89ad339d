/**
 * The program that host interpreters run. Frames come in as (path length, source length, origin length, path, source,
 * origin) and go out as (length, siphash of the source, marshal stream), or length -1 for what doesn't compile; integers
 * are little-endian 32 bit. The first answer names the interpreter: whether it is a final release of CPython, minor,
 * magic number.
 *
 * An origin is a file that the source was read from. Where the interpreter has compiled that before, by its own rule (the
 * times and sizes of PEP 3147's file fit), the code is taken from there and only told its new path.
 */
export const compilerProgram = `
import sys, marshal, gc, os, warnings
from _imp import source_hash
from importlib.util import MAGIC_NUMBER, cache_from_source
warnings.simplefilter("ignore")
gc.disable()
take, give = sys.stdin.buffer.read, sys.stdout.buffer
number = lambda data: int.from_bytes(data, "little")
pack = lambda value: value.to_bytes(4, "little", signed=True)
raw = number(MAGIC_NUMBER)
is_release = sys.implementation.name == "cpython" and sys.version_info[3] == "final"
give.write(pack(is_release) + pack(sys.version_info[1]) + MAGIC_NUMBER)
give.flush()
CodeType = type(pack.__code__)
def moved(code, path):
    consts = tuple(moved(each, path) if type(each) is CodeType else each for each in code.co_consts)
    return code.replace(co_filename=path, co_consts=consts)
def compiled_before(origin, path, size):
    try:
        with open(cache_from_source(origin), "rb") as file:
            data = file.read()
        stat = os.stat(origin)
        header = MAGIC_NUMBER + bytes(4) + (int(stat.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little") + size.to_bytes(4, "little")
        if stat.st_size == size and data[:16] == header:
            return moved(marshal.loads(data[16:]), path)
    except Exception:
        pass
while True:
    head = take(12)
    if len(head) < 12:
        break
    path = take(number(head[:4])).decode()
    source = take(number(head[4:8]))
    origin = take(number(head[8:])).decode()
    try:
        code = (origin and compiled_before(origin, path, len(source))) or compile(source, path, "exec", dont_inherit=True)
        stream = marshal.dumps(code)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        give.write(pack(-1))
    else:
        give.write(pack(len(stream)) + source_hash(raw, source) + stream)
    give.flush()
`;
