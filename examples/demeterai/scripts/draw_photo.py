"""Draws a greenhouse bench from above: soil with a known number of plants. For training and for tests."""

import numpy as np
from PIL import Image, ImageDraw


def draw_photo(
    random: np.random.Generator, *, plants: int, size: tuple[int, int]
) -> tuple[Image.Image, list[tuple[float, float]]]:
    """The photo and the centres of its plants, in pixels."""
    width, height = size
    soil = random.normal((96, 68, 48), 12, (height, width, 3)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(soil, "RGB")
    pen = ImageDraw.Draw(image)
    centres = free_places(random, plants=plants, size=size)
    for x, y in centres:
        radius = random.uniform(3, 7)
        green = tuple(int(value) for value in random.normal((70, 150, 60), 18).clip(0, 255))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=green)
        pen.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=(150, 200, 110))
    return image, centres


def free_places(
    random: np.random.Generator, *, plants: int, size: tuple[int, int]
) -> list[tuple[float, float]]:
    """Random places on a jittered grid, so that plants stand apart as on a bench."""
    pitch = 20
    cells = [(x, y) for x in range(pitch, size[0] - pitch, pitch) for y in range(pitch, size[1] - pitch, pitch)]
    if plants > len(cells):
        raise ValueError(f"{plants} plants don't fit on {len(cells)} places")
    chosen = random.permutation(len(cells))[:plants]
    return [(cells[i][0] + random.uniform(-3, 3), cells[i][1] + random.uniform(-3, 3)) for i in chosen]
