/**
 * The process that computes, in Python: it says which operation begins, and what came of it, since a library that is missing
 * may end it in between.
 */
export const computeProgram = String.raw`
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


def has_torchvision():
    try:
        import torchvision.ops

        return True
    except Exception:
        return False
`;
