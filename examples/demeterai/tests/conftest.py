"""Real servers where this machine has them: a PostgreSQL and a Redis of our own, on free ports and temporary folders.

DATABASE_URL and REDIS_URL, when they are set, name servers that are running already.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from celery import Celery
from httpx import ASGITransport, AsyncClient

ROOT = Path(__file__).parents[1]
START_SECONDS = 20

os.environ["APP_ENV"] = "test"


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    if "REDIS_URL" in os.environ:
        yield os.environ["REDIS_URL"]
        return
    server = shutil.which("redis-server")
    if server is None:
        missing("redis-server is not installed")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([server, *options], stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir()) as process:
        try:
            wait_for_port(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A database with every migration applied."""
    if "DATABASE_URL" in os.environ:
        migrate(os.environ["DATABASE_URL"])
        yield os.environ["DATABASE_URL"]
        return
    programs = find_postgresql()
    if programs is None:
        missing("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="demeterai-postgresql-"))
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    port = free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    control = [programs / "pg_ctl", "-D", folder / "data", "-s", "-w", "-l", folder / "log"]
    run([programs / "initdb", "-D", folder / "data", "-U", "demeterai", "-A", "trust", "-N"], user)
    run([*control, "-o", options, "start"], user)
    try:
        url = f"postgresql+asyncpg://demeterai@127.0.0.1:{port}/postgres"
        migrate(url)
        yield url
    finally:
        run([*control, "-m", "immediate", "stop"], user)
        shutil.rmtree(folder)


@pytest.fixture
def settings_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Sets environment variables for one test; what was made from earlier settings is made again."""
    from app.database import get_engine
    from app.settings import get_settings

    def apply(**variables: str) -> None:
        monkeypatch.setenv("UPLOAD_DIR", str(tmp_path / "uploads"))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        get_engine.cache_clear()

    apply()
    yield apply
    get_settings.cache_clear()
    get_engine.cache_clear()


@pytest.fixture
async def client(settings_from) -> AsyncIterator[AsyncClient]:
    from app.main import app

    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        yield client


@pytest.fixture
def queue(redis_url: str) -> Iterator[Celery]:
    """A queue of its own for the API under test, in an empty Redis."""
    from app.celery_app import get_celery
    from app.main import app

    queue = Celery("test", broker=redis_url, backend=redis_url)
    queue.connection_for_write().default_channel.client.flushdb()
    app.dependency_overrides[get_celery] = lambda: queue
    yield queue
    del app.dependency_overrides[get_celery]
    queue.close()


def missing(what: str) -> None:
    if os.environ.get("SHEAF_REQUIRE_ENGINES") == "1":
        pytest.fail(what)
    pytest.skip(what)


def find_postgresql() -> Path | None:
    """The folder of initdb and pg_ctl, which Debian keeps off the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


def run(command: list[str | Path], user: str | None) -> None:
    subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())


def migrate(url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(command, check=True, cwd=ROOT, env=environment)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port} after {START_SECONDS} s")
