import { buildImage, type Image } from "../../oci/image.ts";
import type { Contract } from "../contract.ts";
import { environmentOf } from "../facts/programs.ts";
import { brokerPort } from "./broker.ts";
import { extraLayer } from "./extra-layer.ts";

/** The task that a worker is busy with unless the contract names one of its own. */
export const probeTask = "sheaf.probe";

/** In the broker, apart from what Celery keeps there. */
export const probeDatabase = 15;
export const eventsKey = "sheaf:events";
/** Something in this list ends the task. */
export const releaseKey = "sheaf:release";

const folder = ".sheaf-probe";

export interface Probed {
  /** The image with one layer more. */
  image: Image;
  env: Record<string, string>;
}

/**
 * The image with a module that Celery's worker loads as it starts, whatever starts it: it sends the worker a task through the worker's
 * own app, so that queues, routes and serializers are the app's, and tells what becomes of it. No file of the image is touched, and its
 * command is the same: Python imports `sitecustomize` from PYTHONPATH, and that waits for the worker's program to be imported.
 */
export function withProbe(image: Image, { runEnv, workerTask }: Pick<Contract, "runEnv" | "workerTask">): Probed {
  const { rootfs: _, history: __, ...config } = image.config;
  const layer = extraLayer(
    Object.entries(probeFiles).map(([name, text]) => ({
      path: `${folder}/${name}`,
      data: Buffer.from(text),
      mode: 0o644,
    })),
  );
  const given = runEnv["PYTHONPATH"] ?? environmentOf(config.config ?? {}).get("PYTHONPATH");
  const { name, args } = workerTask ?? { name: probeTask, args: [] };
  return {
    image: buildImage({ layers: [...image.layers, layer], config }),
    env: {
      PYTHONPATH: given ? `/${folder}:${given}` : `/${folder}`,
      SHEAF_PROBE: JSON.stringify({ port: brokerPort, database: probeDatabase, task: name, args }),
    },
  };
}

const sitecustomize = `
import sys


class OnWorker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "celery.apps.worker":
            sys.meta_path.remove(OnWorker)
            import sheaf_probe


sys.meta_path.insert(0, OnWorker)

# The image's own, which this one stands before.
here, own, paths = __file__.rpartition("/")[0], sys.modules.pop(__name__), sys.path[:]
sys.path = [path for path in paths if path != here]
try:
    import sitecustomize
except ImportError as error:
    if error.name != "sitecustomize":
        raise
    sys.modules[__name__] = own
finally:
    sys.path = paths
`;

const probe = `
import json
import os
import socket

from celery import shared_task
from celery.signals import task_postrun, task_prerun, worker_ready

SETTINGS = json.loads(os.environ["SHEAF_PROBE"])


def ask(*words):
    """One command to the broker; its reply as it comes, after that of SELECT."""
    commands = (("SELECT", SETTINGS["database"]), words)
    text = "".join(
        "*%d\\r\\n" % len(command) + "".join("$%d\\r\\n%s\\r\\n" % (len(str(word)), word) for word in command)
        for command in commands
    )
    with socket.create_connection(("127.0.0.1", SETTINGS["port"])) as connection:
        connection.sendall(text.encode())
        reply = b""
        while reply.count(b"\\n") < 2:
            more = connection.recv(4096)
            if not more:
                break
            reply += more


def tell(*words):
    ask("RPUSH", "${eventsKey}", json.dumps(words))


@shared_task(name="${probeTask}")
def busy():
    # Like a long computation it gives nobody else a turn.
    ask("BLPOP", "${releaseKey}", 600)


@worker_ready.connect
def ready(sender=None, **_):
    queue = next(iter(sender.app.amqp.queues.consume_from.values()))
    sent = sender.app.send_task(SETTINGS["task"], args=SETTINGS["args"], queue=queue)
    tell("sent", sent.id, queue.name, sender.pool.__module__ if sender.pool else "")


@task_prerun.connect
def begun(task_id=None, **_):
    tell("begun", task_id)


@task_postrun.connect
def ended(task_id=None, state=None, **_):
    tell("ended", task_id, state)


tell("loaded")
`;

/** What is put in, by name. */
export const probeFiles = { "sitecustomize.py": sitecustomize, "sheaf_probe.py": probe };
