"""The Celery application. Each setting is here because its default loses or doubles something."""

import logging
import os
import socket
import sys
from typing import Any, Final

from celery import Celery, signals

from config import broker

log = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

QUEUES: Final = ("delivery", "reports", "chores")

# No task outlives task_time_limit, so a message unacknowledged for this long belongs to a dead worker.
VISIBILITY_TIMEOUT: Final = 120

# A peer that vanished without a word is found out in some 20 s; by default in two hours.
_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)  # not on every system
}

broker.use()
app = Celery("pregon")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    # A killed worker's task runs again; what it must not do twice is guarded in PostgreSQL.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_timeout=True,
    # Prefetched wake-ups would wait behind a busy process while another one idles.
    worker_disable_prefetch=True,
    worker_prefetch_multiplier=1,
    visibility_timeout=VISIBILITY_TIMEOUT,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Without these a broker that accepts and never answers hangs a request for good.
        # Longer than a worker waits for its next message (1 s), shorter than a client for its answer.
        "socket_timeout": 3,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "socket_keepalive_options": _KEEPALIVE,
        "health_check_interval": 10,
        "retry_on_timeout": False,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.2,
        "connect_retries_timeout": 2,  # a second try only after a quick refusal
    },
    task_publish_retry=True,
    task_publish_retry_policy={
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.2,
    },
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Cutting a call short would leave its messages unknown; leases make finishing safe.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_soft_shutdown_timeout=20,
    worker_enable_soft_shutdown_on_idle=True,
    # A drain of 2 s, a call of 13 s and the 40 s that its results are offered to a dead database fit in.
    task_soft_time_limit=75,
    task_time_limit=90,
    # Results live in PostgreSQL; a result backend is one more thing that hangs.
    task_ignore_result=True,
    result_backend=None,
    task_serializer="json",
    accept_content=["json"],
    worker_max_tasks_per_child=1_000,
    worker_max_memory_per_child=300_000,
    task_routes={
        "messaging.drain": {"queue": "delivery"},
        "messaging.apply_reports": {"queue": "reports"},
    },
    task_default_queue="chores",
    task_create_missing_queues=True,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
)
app.autodiscover_tasks()


@signals.celeryd_init.connect
def _refuse_what_cannot_work(**_: Any) -> None:
    """End a worker that could only fail at every task, with the sentences of the system checks."""
    from django.conf import settings  # not before Django is ready
    from django.db import DatabaseError, connection

    from config import checks

    if faults := checks.faults():
        sys.stderr.write(f"{faults}\n")
        sys.exit(1)
    if not settings.SENDING:
        log.warning("sending_is_off", extra={"because": "PREGON_SENDING is off"})
    try:
        connection.ensure_connection()
    except (
        DatabaseError
    ) as error:  # it may come back; a wrong password is told apart from an outage
        log.warning("database_away", extra={"because": str(error).partition("\n")[0]})
    connection.close()


@signals.celeryd_init.connect
def _name_by_process(instance: Any, **_: Any) -> None:
    """Give each worker a name of its own: RabbitMQ ends the second of a name, and a machine may have two."""
    instance.hostname = f"worker-{os.getpid()}@{socket.gethostname()}"


@signals.setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """Leave the logging of `config.logging` as it is: Celery sets up none when this is connected."""


@signals.worker_process_init.connect
def _give_statements_a_minute(**_: Any) -> None:
    """Let a worker's statements run longer than those of a web request."""
    from django.conf import settings  # not before Django is ready
    from django.db import connections

    connections.close_all()  # a connection must not cross the fork
    options = connections.settings["default"]["OPTIONS"]
    # Of two the last counts.
    options["options"] += f" -c statement_timeout={settings.WORKER_STATEMENT_TIMEOUT}"


@signals.worker_ready.connect
def _watch(sender: Any, **_: Any) -> None:
    """End this worker should it go deaf."""
    from config.watchdog import Watchdog  # not before Django is ready

    Watchdog(sender).start()
