"""Upload of photos. Counting is a worker's job: here a task is only sent, by its name."""

import io
import uuid
from typing import Annotated

import structlog
from celery import Celery
from fastapi import APIRouter, Depends, HTTPException, UploadFile, status
from fastapi.concurrency import run_in_threadpool
from kombu.exceptions import OperationalError
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.celery_app import COUNT_PLANTS, get_celery
from app.database import get_session
from app.models import Photo
from app.settings import Settings, get_settings
from app.storage import open_storage

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/photos", tags=["photos"])


class PhotoAccepted(BaseModel):
    photo_id: uuid.UUID
    task_id: str


class PhotoDetails(BaseModel):
    photo_id: uuid.UUID
    filename: str
    width: int
    height: int
    plants: int | None


@router.post("", status_code=status.HTTP_202_ACCEPTED)
async def upload_photo(
    file: UploadFile,
    session: Annotated[AsyncSession, Depends(get_session)],
    settings: Annotated[Settings, Depends(get_settings)],
    celery: Annotated[Celery, Depends(get_celery)],
) -> PhotoAccepted:
    content = await file.read(settings.max_photo_bytes + 1)
    if len(content) > settings.max_photo_bytes:
        raise HTTPException(413, f"The photo has more than {settings.max_photo_bytes} bytes.")
    width, height = image_size(content)
    photo = Photo(id=uuid.uuid4(), filename=(file.filename or "photo")[:255], width=width, height=height)
    await run_in_threadpool(open_storage(settings).save, str(photo.id), content)
    session.add(photo)
    await session.commit()
    try:
        task = await run_in_threadpool(celery.send_task, COUNT_PLANTS, args=[str(photo.id)])
    except OperationalError as error:
        raise HTTPException(503, "The task queue doesn't answer; the photo is stored but not counted.") from error
    log.info("photo accepted", photo_id=str(photo.id), task_id=task.id, width=width, height=height)
    return PhotoAccepted(photo_id=photo.id, task_id=task.id)


@router.get("/{photo_id}")
async def show_photo(
    photo_id: uuid.UUID, session: Annotated[AsyncSession, Depends(get_session)]
) -> PhotoDetails:
    photo = await session.get(Photo, photo_id)
    if photo is None:
        raise HTTPException(404, "There is no such photo.")
    return PhotoDetails(
        photo_id=photo.id, filename=photo.filename, width=photo.width, height=photo.height, plants=photo.plants
    )


def image_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels; 415 when the bytes are no image that Pillow knows."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
            return image.size
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise HTTPException(415, "The file is not a photo.") from error
