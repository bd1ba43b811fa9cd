"""Redis as Celery's broker, where a message that is none of ours costs a line in the log and no worker.

kombu and Celery take what lies in the list that a queue is on trust: text that is no JSON, or a task whose
body is `null`, ends the stock worker, and the next one after it.
"""

import json
import logging
from base64 import b64decode
from typing import Any, Final

from celery import current_app
from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

log = logging.getLogger(__name__)

_PATH: Final = "config.broker:Transport"


class Channel(redis.Channel):
    """A channel that drops what it cannot read."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # the stubs leave it out
        except ValueError as error:  # no JSON, or no text at all
            _tell("", error)
            return True
        except ResponseError as error:
            # Redis is full, or takes no writes any more. To the stock worker that is the end, and it hangs
            # in it; it is only a broker that is away for a while. The wake-up is lost, which costs nothing.
            raise RedisConnectionError(type(error).__name__) from error


class Transport(redis.Transport):
    """A transport that hands on only tasks of ours, from the queues that tasks come through."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        try:
            if queue in current_app.amqp.queues:
                _require_task(message)
        except (ValueError, TypeError, KeyError) as error:
            _tell(queue or "", error)
        else:
            super()._deliver(message, queue)


def _require_task(message: Any) -> None:
    """Read a message as far as Celery does before its own guards. Raises: ValueError, TypeError, KeyError."""
    headers, properties = message["headers"], message["properties"]
    if headers["task"] not in current_app.tasks:
        raise ValueError("no task of ours")
    if message["content-type"] != "application/json" or message["content-encoding"] != "utf-8":
        raise ValueError("not in JSON")
    if not all(
        isinstance(text, str)
        for text in (headers["id"], properties["delivery_tag"], properties["body_encoding"])
    ):
        raise TypeError("no ids")
    _ = properties["delivery_info"]["routing_key"], properties["delivery_info"]["exchange"]
    match json.loads(b64decode(message["body"], validate=True)):
        case [list(), dict(), dict()]:
            pass
        case _:
            raise ValueError("no arguments")


def _tell(queue: str, error: Exception) -> None:
    # Not what it said: nobody knows whose words these are.
    log.error("foreign_message_dropped", extra={"queue": queue, "error": type(error).__name__})


def use() -> None:
    """Have this transport wherever a URL says redis."""
    for name in ("redis", "rediss"):
        TRANSPORT_ALIASES[name] = _PATH
