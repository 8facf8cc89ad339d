"""Counts plants in the bytes of a photo, on the GPU when there is one."""

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import structlog
import torch
from PIL import Image

from app.ml.model import INPUT_WIDTH, DensityNet

WEIGHTS = Path(__file__).with_name("weights.npz")
# The network never says quite zero for bare soil, and a photo has thousands of cells of it.
SOIL_DENSITY = 0.004

log = structlog.get_logger(__name__)


class PlantCounter:
    def __init__(self, device: str) -> None:
        self.device = device
        self._net = load_network().to(device)

    def count(self, content: bytes) -> int:
        with torch.inference_mode():
            density = self._net(to_tensor(content).to(self.device))
        return round(density[density > SOIL_DENSITY].sum().item())


@lru_cache
def get_counter() -> PlantCounter:
    """The counter of this process, made on first use."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "no CUDA device found, counting on the CPU"
    log.info("counter ready", device=device, device_name=name, torch=torch.__version__)
    return PlantCounter(device)


def load_network() -> DensityNet:
    net = DensityNet()
    # npz holds numbers only, where torch's own format is a pickle.
    with np.load(WEIGHTS, allow_pickle=False) as weights:
        net.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
    return net.eval()


def to_tensor(content: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(content)) as image:
        height = max(4, round(image.height * INPUT_WIDTH / image.width))
        pixels = np.asarray(image.convert("RGB").resize((INPUT_WIDTH, height)), dtype=np.float32)
    return torch.from_numpy(pixels / 255).permute(2, 0, 1).unsqueeze(0)
