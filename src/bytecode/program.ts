/**
 * The program that host interpreters run. Frames come in as (path length, source length, path, source) and go out as
 * (length, siphash of the source, marshal stream), or length -1 for what doesn't compile; integers are little-endian
 * 32 bit. The first answer names the interpreter: whether it is a final release of CPython, minor, magic number.
 */
export const compilerProgram = `
import sys, marshal, warnings
from _imp import source_hash
from importlib.util import MAGIC_NUMBER
warnings.simplefilter("ignore")
take, give = sys.stdin.buffer.read, sys.stdout.buffer
number = lambda data: int.from_bytes(data, "little")
pack = lambda value: value.to_bytes(4, "little", signed=True)
raw = number(MAGIC_NUMBER)
is_release = sys.implementation.name == "cpython" and sys.version_info[3] == "final"
give.write(pack(is_release) + pack(sys.version_info[1]) + MAGIC_NUMBER)
give.flush()
while True:
    head = take(8)
    if len(head) < 8:
        break
    path = take(number(head[:4])).decode()
    source = take(number(head[4:]))
    try:
        stream = marshal.dumps(compile(source, path, "exec", dont_inherit=True))
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        give.write(pack(-1))
    else:
        give.write(pack(len(stream)) + source_hash(raw, source) + stream)
    give.flush()
`;
