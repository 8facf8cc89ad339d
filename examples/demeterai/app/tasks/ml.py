"""Tasks of the ML workers. Only workers import this module."""

import asyncio
import uuid

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import create_async_engine

from app.celery_app import COUNT_PLANTS, celery
from app.models import Photo
from app.settings import get_settings
from app.storage import open_storage

log = structlog.get_logger(__name__)


@celery.task(name=COUNT_PLANTS)
def count_plants(photo_id: str) -> dict[str, int | str]:
    # torch takes seconds to import, so a worker is on the queue before it does.
    from app.ml.counter import get_counter

    counter = get_counter()
    plants = counter.count(open_storage(get_settings()).load(photo_id))
    asyncio.run(save_count(uuid.UUID(photo_id), plants))
    log.info("plants counted", photo_id=photo_id, plants=plants, device=counter.device)
    return {"plants": plants, "device": counter.device}


async def save_count(photo_id: uuid.UUID, plants: int) -> None:
    # An engine belongs to the event loop that made it, and every task has a loop of its own.
    engine = create_async_engine(get_settings().database_url)
    try:
        async with engine.begin() as connection:
            await connection.execute(update(Photo).where(Photo.id == photo_id).values(plants=plants))
    finally:
        await engine.dispose()
