"""The worker's side. Needs the `ml` extra, which is large; without torch these tests are skipped."""

import asyncio
import io
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import ROOT

torch = pytest.importorskip("torch", reason="the ml extra is not installed")
np = pytest.importorskip("numpy")


def drawn(seed: int, plants: int) -> bytes:
    from scripts.draw_photo import draw_photo

    out = io.BytesIO()
    image, _ = draw_photo(np.random.default_rng(seed), plants=plants, size=(256, 192))
    image.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("plants", [0, 1, 10, 25, 50])
def test_it_counts_plants_that_it_never_saw(plants: int):
    from app.ml.counter import get_counter

    counted = get_counter().count(drawn(seed=plants + 1, plants=plants))
    assert abs(counted - plants) <= max(1, plants * 0.1)


def test_the_device_is_cuda_when_there_is_one():
    from app.ml.counter import get_counter

    assert get_counter().device == ("cuda" if torch.cuda.is_available() else "cpu")


async def test_from_the_upload_to_the_count(client, settings_from, database_url, redis_url, queue, tmp_path: Path):
    """A real worker process, started as its image starts it."""
    settings_from(DATABASE_URL=database_url, REDIS_URL=redis_url)
    accepted = await client.post("/photos", files={"file": ("bench.png", drawn(seed=3, plants=20), "image/png")})
    command = [sys.executable, "-m", "celery", "-A", "app.celery_app", "worker", "--pool=solo", "--concurrency=1"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stdout=log, stderr=log)
        try:
            for _ in range(600):
                status = (await client.get(f"/tasks/{accepted.json()['task_id']}")).json()
                if status["state"] in ("SUCCESS", "FAILURE"):
                    break
                await asyncio.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait(20)
    printed = (tmp_path / "worker.log").read_text()
    assert status["state"] == "SUCCESS", printed
    assert abs(status["plants"] - 20) <= 2
    photo = await client.get(f"/photos/{uuid.UUID(accepted.json()['photo_id'])}")
    assert photo.json()["plants"] == status["plants"]
    assert '"event": "counter ready"' in printed
    assert worker.returncode == 0
