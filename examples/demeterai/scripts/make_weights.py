"""Trains the plant counter on drawn photos and writes app/ml/weights.npz. Seeded; about a minute on two cores.

    python scripts/make_weights.py
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.ml.counter import WEIGHTS
from app.ml.model import DensityNet
from scripts.draw_photo import draw_photo

SEED = 20251009
STEPS = 400
BATCH = 8
# The network is convolutional: what it learns on a small photo holds for a large one.
SIZE = (128, 96)
CELL = 4


def main() -> None:
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    net = DensityNet()
    # Most of a photo is soil: starting near zero everywhere, the network has only plants to learn.
    nn.init.constant_(net.features[-2].bias, -4)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for step in range(STEPS):
        photos, truth = draw_batch(random)
        density = net(photos)
        loss = functional.mse_loss(density, truth) * 100
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == STEPS - 1:
            error = (density.sum((1, 2, 3)) - truth.sum((1, 2, 3))).abs().mean().item()
            print(f"step {step}: loss {loss.item():.4f}, off by {error:.2f} plants a photo")
    np.savez_compressed(WEIGHTS, **{name: value.numpy() for name, value in net.state_dict().items()})
    print(f"{WEIGHTS.name}: {WEIGHTS.stat().st_size} bytes")


def draw_batch(random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    photos, densities = [], []
    for _ in range(BATCH):
        image, centres = draw_photo(random, plants=int(random.integers(0, 16)), size=SIZE)
        photos.append(np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255)
        densities.append(density_of(centres, (SIZE[1] // CELL, SIZE[0] // CELL)))
    return torch.from_numpy(np.stack(photos)), torch.from_numpy(np.stack(densities)).unsqueeze(1)


def density_of(centres: list[tuple[float, float]], shape: tuple[int, int]) -> np.ndarray:
    """One bell of sum 1 per plant."""
    density = np.zeros(shape, dtype=np.float32)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    for x, y in centres:
        bell = np.exp(-((columns + 0.5 - x / CELL) ** 2 + (rows + 0.5 - y / CELL) ** 2) / 2)
        density += (bell / bell.sum()).astype(np.float32)
    return density


if __name__ == "__main__":
    main()
