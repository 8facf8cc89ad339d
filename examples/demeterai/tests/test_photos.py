import io
import uuid
from pathlib import Path

import pytest
from PIL import Image

from app.celery_app import COUNT_PLANTS


@pytest.fixture
def service(client, settings_from, database_url, queue):
    """The client of an API whose database and queue are real."""
    settings_from(DATABASE_URL=database_url)
    return client


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(out, "PNG")
    return out.getvalue()


async def test_an_upload_is_stored_and_its_task_sent(service, queue, tmp_path: Path):
    content = png(64, 48)
    response = await service.post("/photos", files={"file": ("bench.png", content, "image/png")})
    assert response.status_code == 202
    accepted = response.json()
    assert (tmp_path / "uploads" / accepted["photo_id"]).read_bytes() == content

    details = (await service.get(f"/photos/{accepted['photo_id']}")).json()
    assert details == {
        "photo_id": accepted["photo_id"],
        "filename": "bench.png",
        "width": 64,
        "height": 48,
        "plants": None,
    }

    with queue.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=5)
        message.ack()
    assert message.headers["task"] == COUNT_PLANTS
    assert message.headers["id"] == accepted["task_id"]
    assert message.payload[0] == [accepted["photo_id"]]


async def test_what_is_no_photo_is_refused(service, tmp_path: Path):
    response = await service.post("/photos", files={"file": ("bench.png", b"not a photo", "image/png")})
    assert response.status_code == 415
    assert not (tmp_path / "uploads").exists()


async def test_a_truncated_photo_is_refused(service):
    response = await service.post("/photos", files={"file": ("bench.png", png(64, 48)[:40], "image/png")})
    assert response.status_code == 415


async def test_a_photo_over_the_limit_is_refused(service, settings_from):
    settings_from(MAX_PHOTO_BYTES="100")
    response = await service.post("/photos", files={"file": ("bench.png", png(640, 480), "image/png")})
    assert response.status_code == 413


async def test_there_is_no_such_photo(service):
    assert (await service.get(f"/photos/{uuid.uuid4()}")).status_code == 404


async def test_the_state_of_a_task(service, queue):
    task_id = str(uuid.uuid4())
    assert (await service.get(f"/tasks/{task_id}")).json()["state"] == "PENDING"

    queue.backend.store_result(task_id, {"plants": 12, "device": "cpu"}, "SUCCESS")
    status = (await service.get(f"/tasks/{task_id}")).json()
    assert (status["state"], status["plants"]) == ("SUCCESS", 12)


async def test_a_failed_task_says_why(service, queue):
    task_id = str(uuid.uuid4())
    queue.backend.store_result(task_id, ValueError("the photo is gone"), "FAILURE")
    status = (await service.get(f"/tasks/{task_id}")).json()
    assert (status["state"], status["error"]) == ("FAILURE", "the photo is gone")
