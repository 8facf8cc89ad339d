import { describe, expect, it } from "vitest";
import { expandable, readCommand } from "../../src/plan/command.ts";

describe("commands with variables", () => {
  it("get a shell, and the usual port where a variable stands for it", () => {
    const command = ["gunicorn", "-w", "4", "-b", "0.0.0.0:${API_PORT}", "src.web:app"];
    const expanded = expandable(command, 9000);
    expect(expanded).toEqual(["sh", "-c", 'exec gunicorn -w 4 -b "0.0.0.0:${API_PORT:-9000}" src.web:app']);
    expect(readCommand(expanded)).toMatchObject({ program: "gunicorn", application: "src.web:app", port: 9000 });
  });

  it("keep other variables as they are", () => {
    const expanded = expandable(["uvicorn", "main:app", "--port", "$PORT", "--log-level", "${LEVEL}"], 8000);
    expect(expanded[2]).toBe('exec uvicorn main:app --port "${PORT:-8000}" --log-level "${LEVEL}"');
  });

  it.each([[["uvicorn", "main:app", "--port", "80"]], [["sh", "-c", "exec uvicorn $APP"]]])(
    "leave %j alone",
    (command) => {
      expect(expandable(command, 8000)).toEqual(command);
    },
  );

  it.each([
    ["uvicorn --host=0.0.0.0 app.main:app", { application: "app.main:app", modules: ["app.main"] }],
    ["gunicorn -k uvicorn.workers.UvicornWorker -b :80 a.b:c", { application: "a.b:c", port: 80 }],
    ["python -m celery -A tasks worker", { program: "python", application: "tasks" }],
    ["fastapi run src/main.py --port 81", { script: "src/main.py", modules: ["src.main"], port: 81 }],
  ])("reads %s", (command, facts) => {
    expect(readCommand(command.split(" "))).toMatchObject(facts);
  });
});
