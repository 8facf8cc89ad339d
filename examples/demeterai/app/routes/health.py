"""Liveness (`/health`: the process answers) and readiness (`/ready`: what it depends on answers too)."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from fastapi import APIRouter, Response, status
from redis.asyncio import Redis
from sqlalchemy import text

from app.database import get_engine
from app.settings import get_settings

CHECK_SECONDS = 2.0

log = structlog.get_logger(__name__)
router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@router.get("/ready")
async def ready(response: Response) -> dict[str, str | dict[str, str]]:
    """503 when PostgreSQL or Redis doesn't answer in time; `checks` says which one and why."""
    checks = {"postgresql": check_postgresql, "redis": check_redis}
    outcomes = await asyncio.gather(*(outcome(check) for check in checks.values()))
    is_ready = all(result == "ok" for result in outcomes)
    if not is_ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        log.warning("not ready", checks=dict(zip(checks, outcomes, strict=True)))
    return {"status": "ready" if is_ready else "unavailable", "checks": dict(zip(checks, outcomes, strict=True))}


async def check_postgresql() -> None:
    async with get_engine().connect() as connection:
        await connection.execute(text("SELECT 1"))


async def check_redis() -> None:
    async with Redis.from_url(get_settings().redis_url) as redis:
        await redis.ping()


async def outcome(check: Callable[[], Awaitable[None]]) -> str:
    try:
        await asyncio.wait_for(check(), CHECK_SECONDS)
    except TimeoutError:
        return f"no answer in {CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever the driver raises means: not ready
        return f"{type(error).__name__}: {error}"
    return "ok"
