"""What became of a task."""

import uuid
from typing import Annotated

from celery import Celery
from fastapi import APIRouter, Depends, HTTPException, Path
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from redis.exceptions import RedisError

from app.celery_app import get_celery

router = APIRouter(prefix="/tasks", tags=["tasks"])


class TaskStatus(BaseModel):
    task_id: uuid.UUID
    state: str
    plants: int | None = None
    error: str | None = None


@router.get("/{task_id}")
async def show_task(
    task_id: Annotated[uuid.UUID, Path()], celery: Annotated[Celery, Depends(get_celery)]
) -> TaskStatus:
    """State as Celery names it; PENDING also stands for a task that nobody ever sent."""
    try:
        return await run_in_threadpool(read_status, celery, task_id)
    except RedisError as error:
        raise HTTPException(503, "The task store doesn't answer.") from error


def read_status(celery: Celery, task_id: uuid.UUID) -> TaskStatus:
    result = celery.AsyncResult(str(task_id))
    state = result.state
    if state == "SUCCESS":
        return TaskStatus(task_id=task_id, state=state, plants=result.result["plants"])
    if state == "FAILURE":
        return TaskStatus(task_id=task_id, state=state, error=str(result.result))
    return TaskStatus(task_id=task_id, state=state)
