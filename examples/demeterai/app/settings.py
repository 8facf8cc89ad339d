"""Settings of the API and of the workers, from the environment or a .env file."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One field per environment variable: `database_url` is DATABASE_URL."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    app_env: Literal["development", "test", "production"] = "development"
    log_level: str = "INFO"
    database_url: str = "postgresql+asyncpg://demeterai:demeterai@localhost:5432/demeterai"
    redis_url: str = "redis://localhost:6379/0"
    upload_dir: Path = Path("uploads")
    photo_bucket: str | None = Field(default=None, description="S3 bucket for photos, instead of upload_dir")
    max_photo_bytes: int = Field(default=20 * 1024 * 1024, gt=0)


@lru_cache
def get_settings() -> Settings:
    return Settings()
