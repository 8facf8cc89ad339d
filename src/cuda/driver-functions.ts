/** Functions in Python, for programs of Sheaf's that ask the driver; `cuda` is libcuda.so.1 as ctypes has it. */
export const driverFunctions = String.raw`
def error(cuda, status):
    import ctypes

    name = ctypes.c_char_p()
    if cuda.cuGetErrorName(status, ctypes.byref(name)) == 0 and name.value:
        return "%s (%d)" % (name.value.decode("ascii", "replace"), status)
    return "error %d" % status


def gpus(cuda, count):
    """Name and compute capability (86 is 8.6) of each."""
    import ctypes

    for index in range(min(count, 64)):
        device, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
        name = ctypes.create_string_buffer(256)
        if cuda.cuDeviceGet(ctypes.byref(device), index) != 0:
            continue
        cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
        cuda.cuDeviceGetName(name, 255, device)
        yield name.value.decode("utf-8", "replace"), major.value * 10 + minor.value


def driver_version():
    """535.54.03, where the kernel's module tells."""
    try:
        with open("/proc/driver/nvidia/version") as file:
            words = file.readline().split()
        return next((word for word in words if word[:1].isdigit() and "." in word), "")
    except (OSError, ValueError):
        return ""
`;
