import { describe, expect, it } from "vitest";
import { writableFolders } from "../../src/plan/writable-folders.ts";

describe("writableFolders", () => {
  it.each([
    ["a log file beside the code", "celery -A x worker --logfile=logs/celery.log", ["app/logs"]],
    ["the short options of Celery", "celery -A x beat -f /var/log/c/beat.log -s data/times", ["var/log/c", "app/data"]],
    ["a folder that is always writable", "celery -A x beat --schedule=/tmp/times", []],
    ["the working directory itself, which stays as built", "celery -A x worker --statedb=state.db", []],
    ["a variable", "celery -A x worker --logfile=$LOGS/c.log", []],
    ["options of other programs", "gunicorn -s x/y main:app --access-logfile -", []],
    ["an option without its value", "celery -A x worker --logfile", []],
  ])("reads %s", (_, command, expected) => {
    expect(writableFolders([], command.split(" "), "/app")).toEqual(expected);
  });

  it("adds to what is configured, once", () => {
    expect(writableFolders(["logs", "/data"], ["celery", "-f", "logs/x"], "/app")).toEqual(["app/logs", "data"]);
  });
});
