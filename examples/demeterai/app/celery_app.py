"""The Celery application: the API sends tasks through it by name, workers run them.

`include` is read by workers only, so importing this module never imports the ML code.
"""

from celery import Celery
from celery.signals import setup_logging

from app.logs import configure_logging
from app.settings import get_settings

COUNT_PLANTS = "demeterai.count_plants"

celery = Celery(
    "demeterai",
    broker=get_settings().redis_url,
    backend=get_settings().redis_url,
    include=["app.tasks.ml"],
)
celery.conf.update(
    task_serializer="json",
    accept_content=["json"],
    result_expires=24 * 3600,
    task_track_started=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    # An API request must not hang for minutes on a broker that is down.
    task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_max": 0.5},
    broker_transport_options={"socket_connect_timeout": 2},
)


def get_celery() -> Celery:
    """FastAPI dependency."""
    return celery


@setup_logging.connect
def _log_like_the_api(**_: object) -> None:
    configure_logging(get_settings().log_level)
