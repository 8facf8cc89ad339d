import json
import subprocess
import sys

from tests.conftest import ROOT, free_port


async def test_health_answers_exactly_this(client):
    response = await client.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "healthy"}


async def test_ready_names_what_is_down(client, settings_from):
    nobody = free_port()
    settings_from(
        DATABASE_URL=f"postgresql+asyncpg://demeterai@127.0.0.1:{nobody}/none",
        REDIS_URL=f"redis://127.0.0.1:{nobody}/0",
    )
    response = await client.get("/ready")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert set(response.json()["checks"]) == {"postgresql", "redis"}
    assert "ok" not in response.json()["checks"].values()


async def test_ready_with_one_of_two_down(client, settings_from, redis_url):
    settings_from(
        DATABASE_URL=f"postgresql+asyncpg://demeterai@127.0.0.1:{free_port()}/none",
        REDIS_URL=redis_url,
    )
    response = await client.get("/ready")
    assert response.status_code == 503
    assert response.json()["checks"]["redis"] == "ok"
    assert response.json()["checks"]["postgresql"] != "ok"


async def test_ready_with_both_servers(client, settings_from, database_url, redis_url):
    settings_from(DATABASE_URL=database_url, REDIS_URL=redis_url)
    response = await client.get("/ready")
    assert response.json() == {"status": "ready", "checks": {"postgresql": "ok", "redis": "ok"}}


def test_the_api_imports_neither_ml_code_nor_boto3():
    program = "import app.main, sys; print([m for m in ('torch', 'numpy', 'boto3', 'app.tasks.ml') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_logs_are_json_on_stdout():
    program = "import app.main, json, logging; logging.getLogger('uvicorn.access').warning('seen')"
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    line = json.loads(printed.stdout)
    assert (line["event"], line["level"], line["logger"]) == ("seen", "warning", "uvicorn.access")
