"""Whether this process is alive, and whether it can serve: for probes and people."""

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from config import api_errors
from config.celery import app as broker
from config.pulse import pulse
from messaging import dispatching


@require_safe
def alive(_request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as this process answers at all."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Answer 503 when the database or a migration is missing, else 200 with the state of each part.

    What else is down, late or off is said, not failed: everything is still served, and without broker
    or workers the dispatcher delivers.
    """
    database = _database()
    parts = {
        "database": database,
        "broker": _broker(),
        "sending": "on" if settings.SENDING else "off",
    }
    if database == "up":
        parts["dispatcher"] = "late" if dispatching.is_late() else "up"
        parts["workers"] = "late" if dispatching.are_workers_late() else "up"
    return JsonResponse(parts, status=200 if database == "up" else 503)


def _database() -> str:
    """Return whether PostgreSQL answers and has every migration."""
    if pulse.is_silent:
        return "down"
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, InterfaceError) as error:
        api_errors.tell_unavailable(error)
        connection.close()
        return "down"
    return "unmigrated" if missing else "up"


def _broker() -> str:
    try:
        # A probe must not wait as long as a worker may.
        patience = {"socket_timeout": 1, "socket_connect_timeout": 1}
        with broker.connection(connect_timeout=1, transport_options=patience) as link:
            link.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
            if link.transport_cls == "redis":
                # A broker that answers and takes nothing, full or read-only, wakes nobody.
                client = link.default_channel.client  # type: ignore[attr-defined] # Redis' own channel
                client.set("pregon:readyz", "1", ex=60)
    except (OSError, BrokerError, RedisError):
        return "down"
    return "up"
