import { describe, expect, it } from "vitest";
import { readCommand, readShellCommand, roleOf } from "../../../src/project/evidence/command.ts";

const scripts: Record<string, string> = {
  "/start.sh":
    "#!/bin/sh\nset -e\nalembic upgrade head\nexec gunicorn -k uvicorn.workers.UvicornWorker app.main:app --reload\n",
  "/entrypoint": '#!/bin/bash\npython manage.py migrate\nexec "$@"\n',
  "/worker.sh": "celery -A app.worker worker -Q a,b",
  "/main.sh": "export PORT=9000\npython -m svc.main --port $PORT\n",
};
const context = {
  source: "x:1",
  script: (path: string) => (path in scripts ? { text: scripts[path] as string, file: path.slice(1) } : undefined),
};
const shell = (text: string) => readShellCommand(text, context);

describe("readCommand", () => {
  it.each([
    ["uvicorn app.main:app --reload --port 80", "api", "uvicorn app.main:app --port 80"],
    ["uvicorn app:app --reload-dir src --reload-exclude=x", "api", "uvicorn app:app"],
    ["alembic upgrade head && uvicorn app:app", "api", "uvicorn app:app"],
    ["sh -c 'alembic upgrade head && exec uvicorn app:app'", "api", "uvicorn app:app"],
    ['bash -lc "cd src; uvicorn app:app --port ${PORT:-8000}"', "api", "uvicorn app:app --port 8000"],
    ["poetry run uvicorn app:app", "api", "uvicorn app:app"],
    ["uv run --no-dev --extra ml -- uvicorn app:app", "api", "uvicorn app:app"],
    ["uv run --frozen fastapi dev app/main.py", "api", "fastapi run app/main.py"],
    ["python -m uvicorn app:app", "api", "uvicorn app:app"],
    ["python3.12 -u -m celery -A app worker", "worker", "celery -A app worker"],
    ["python -m debugpy --listen 0.0.0.0:5678 -m uvicorn app:app", "api", "uvicorn app:app"],
    ["tini -g -- gosu app /opt/venv/bin/gunicorn app:app", "api", "gunicorn app:app"],
    ["ddtrace-run uvicorn app:app", "api", "ddtrace-run uvicorn app:app"],
    ["wait-for-it.sh db:5432 -t 30 -- celery -A app beat", "beat", "celery -A app beat"],
    ["dockerize -wait tcp://db:5432 -timeout 20s uvicorn app:app", "api", "uvicorn app:app"],
    ["watchmedo auto-restart -d . -p '*.py' -- celery -A app worker", "worker", "celery -A app worker"],
    ["watchfiles 'celery -A app worker -l info' app", "worker", "celery -A app worker -l info"],
    ["celery -A app -b redis://x flower --port=5555", "flower", "celery -A app -b redis://x flower --port=5555"],
    ["PYTHONPATH=. exec hypercorn app:app", "api", "hypercorn app:app"],
    ["./start.sh", "other", "./start.sh"],
    ["/start.sh", "api", "gunicorn -k uvicorn.workers.UvicornWorker app.main:app"],
    ["bash /worker.sh", "worker", "celery -A app.worker worker -Q a,b"],
    ["/entrypoint /worker.sh", "worker", "celery -A app.worker worker -Q a,b"],
    ["/main.sh", "other", "python -m svc.main --port 9000"],
    ["alembic upgrade head", "other", "alembic upgrade head"],
  ])("%s", (text, role, command) => {
    const read = shell(text);
    expect([read.role, read.command.value.join(" ")]).toEqual([role, command]);
  });

  it("notes what it dropped, where", () => {
    expect(shell("/start.sh").notes).toEqual([
      { what: "runs start.sh", source: "x:1" },
      { what: "runs alembic upgrade head before the start", source: "start.sh:3" },
      { what: "--reload is for development and left out", source: "start.sh:4" },
    ]);
    expect(shell("/start.sh").command.source).toBe("start.sh:4");
    expect(shell("/entrypoint uvicorn app:app").notes.map(({ what }) => what)).toEqual([
      "runs entrypoint",
      "runs python manage.py migrate before the start",
    ]);
  });

  it("reads the queues of a worker", () => {
    expect(shell("celery -A app worker -Q gpu,cpu").queues).toEqual(["gpu", "cpu"]);
    expect(shell("celery -A app worker --queues=gpu").queues).toEqual(["gpu"]);
  });

  it("keeps variables that only the container knows in a shell", () => {
    expect(shell("uvicorn app:app --port $PORT --root-path ${ROOT}/x").command.value).toEqual([
      "sh",
      "-c",
      'exec uvicorn app:app --port "${PORT:-8000}" --root-path "${ROOT}/x"',
    ]);
    expect(shell("uvicorn app:app --port $PORT").role).toBe("api");
  });

  it("keeps what isn't known until it runs", () => {
    expect(shell("exec $SERVER --port 80").command.value).toEqual(["sh", "-c", "exec $SERVER --port 80"]);
    expect(readCommand(["sh", "-c", "$RUN"], context).command.value).toEqual(["sh", "-c", "$RUN"]);
  });

  it("ends on scripts that start themselves", () => {
    const loop = { source: "x:1", script: () => ({ text: "exec /loop.sh", file: "loop.sh" }) };
    expect(readCommand(["/loop.sh"], loop).role).toBe("other");
    const many = { source: "x:1", script: () => ({ text: "/many.sh\n".repeat(500), file: "many.sh" }) };
    expect(readCommand(["/many.sh"], many).role).toBe("other");
  });
});

describe("roleOf", () => {
  it("knows a worker that carries beat", () => {
    expect(roleOf(["celery", "-A", "app", "worker", "-B"])).toBe("worker");
    expect(roleOf(["redis-server"])).toBe("other");
  });
});
