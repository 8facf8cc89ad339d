"""Asks the driver what it makes of the stand-ins that trimming puts in the place of fat binaries without code for a GPU.

A stand-in is an entry with an ELF file without code, for an architecture that the fat binary had. No compiler writes one, so
no driver has seen one. It is to be taken as a fat binary for other GPUs is: refused with "no kernel image", and nothing worse.
"""
import json
import os
import struct
import subprocess
import sys

MAGIC = b"\x50\xed\x55\xba\x01\x00\x10\x00"
SIZE = 456
NO_BINARY_FOR_GPU = 209


def ask(python, folders, timeout):
    """Counts them in the trimmed libraries, and loads one in a process of its own."""
    found = []
    for folder in folders:
        for path in libraries(folder):
            found += stand_ins(path)
    sample = found[0] if found else made_up(50)
    done = subprocess.run(
        [python, os.path.abspath(__file__), sample.hex()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=timeout,
    )
    count = str(len(found)) if found else "none"
    try:
        asked = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        text = "The process that asked the driver ended with %d: %s" % (done.returncode, done.stderr[-500:])
        return {"count": count, "verdict": "fail", "text": text}
    return dict(asked, count=count)


def libraries(folder):
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(root, name)
            if ".so" in name and not os.path.islink(path):
                yield path


def stand_ins(path):
    """Fat binaries of their size in .nv_fatbin and __nv_relfatbin."""
    found = []
    for offset, size in fat_sections(path):
        with open(path, "rb") as file:
            at = offset
            while at + 16 <= offset + size:
                file.seek(at)
                header = file.read(16)
                if header[:8] != MAGIC:
                    at += 8
                    continue
                length = 16 + struct.unpack("<Q", header[8:])[0]
                if length == SIZE:
                    found.append(header + file.read(SIZE - 16))
                at += length
    return found


def fat_sections(path):
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02\x01":
            return
        table = struct.unpack_from("<Q", header, 40)[0]
        entry, count, names = struct.unpack_from("<HHH", header, 58)
        file.seek(table)
        rows = [struct.unpack_from("<IIQQQQ", row) for row in iter_rows(file.read(entry * count), entry)]
        if names >= len(rows):
            return
        file.seek(rows[names][4])
        text = file.read(rows[names][5])
        for name, _, _, _, offset, size in rows:
            if text[name : text.find(b"\0", name)] in (b".nv_fatbin", b"__nv_relfatbin"):
                yield offset, size


def iter_rows(table, entry):
    return [table[at : at + entry] for at in range(0, len(table) - entry + 1, entry)] if entry else []


def made_up(sm):
    """As src/cuda/write-fat-binary.ts writes it, where no library has one."""
    names = b"\0.shstrtab\0.strtab\0.symtab\0\0\0\0\0\0"
    sections = 64 + len(names) + 24
    elf = bytearray(b"\x7fELF\x02\x01\x01\x33\x07" + bytes(55))
    struct.pack_into("<HHI", elf, 16, 2, 190, 1)
    struct.pack_into("<Q", elf, 40, sections)
    struct.pack_into("<I", elf, 48, (sm << 16) | 0x500 | sm)
    struct.pack_into("<HHHHHH", elf, 52, 64, 56, 0, 64, 4, 1)

    def section(name, kind, offset, size, link=0, info=0, align=1, entry=0):
        return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, link, info, align, entry)

    table = bytes(64) + section(1, 3, 64, len(names)) + section(11, 3, 64, 1)
    table += section(19, 2, 64 + len(names), 24, link=2, info=1, align=8, entry=24)
    cubin = bytes(elf) + names + bytes(24) + table
    entry = bytearray(64)
    struct.pack_into("<HHIQ", entry, 0, 2, 0x101, 64, len(cubin))
    struct.pack_into("<HHI", entry, 24, 7, 1, sm)
    struct.pack_into("<Q", entry, 40, 0x11)
    content = bytes(entry) + cubin
    return MAGIC + struct.pack("<Q", len(content)) + content


def load(sample):
    """In a process of its own: what the driver answers to the stand-in, and whether it works on afterwards."""
    import ctypes

    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return {"verdict": "not run", "text": "No driver was asked: there is none."}
    status = cuda.cuInit(0)
    if status != 0:
        return {"verdict": "not run", "text": "No driver was asked: it answers error %d." % status}
    device, context = ctypes.c_int(0), ctypes.c_void_p()
    cuda.cuDeviceGet(ctypes.byref(device), 0)
    cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    cuda.cuCtxSetCurrent(context)
    answers = {}
    memory = ctypes.create_string_buffer(sample, len(sample) + 64)
    for name in ("cuModuleLoadFatBinary", "cuModuleLoadData"):
        module = ctypes.c_void_p()
        answers[name] = getattr(cuda, name)(ctypes.byref(module), memory)
    pointer = ctypes.c_void_p()
    works = cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(4096)) == 0 and cuda.cuCtxSynchronize() == 0
    fits = works and all(answer == NO_BINARY_FOR_GPU for answer in answers.values())
    told = ", ".join("%s answers %d" % pair for pair in sorted(answers.items()))
    text = "The driver is asked to load one: %s (%d is what it says of code for other GPUs); it %s afterwards." % (
        told,
        NO_BINARY_FOR_GPU,
        "works" if works else "does **not** work",
    )
    return {"verdict": "pass" if fits else "fail", "answers": answers, "works": works, "text": text}


if __name__ == "__main__":
    print(json.dumps(load(bytes.fromhex(sys.argv[1]))))
