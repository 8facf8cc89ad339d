"""The API server: `uvicorn app.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI

from app.database import get_engine
from app.logs import configure_logging
from app.routes import health, photos, tasks
from app.settings import get_settings

configure_logging(get_settings().log_level)
log = structlog.get_logger(__name__)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    log.info("api started", app_env=get_settings().app_env)
    yield
    await get_engine().dispose()
    log.info("api stopped")


app = FastAPI(title="DemeterAI", version="0.1.0", lifespan=lifespan)
app.include_router(health.router)
app.include_router(photos.router)
app.include_router(tasks.router)
