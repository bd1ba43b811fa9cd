"""Every queue that a task goes to is consumed by the worker's own command."""

from typing import Any

from config import parts
from config.celery import QUEUES, app
from tests.house import source


def tasks() -> dict[str, Any]:
    """Our own tasks by name."""
    app.loader.import_default_modules()
    return {
        name: task
        for name, task in app.tasks.items()
        if task.__module__.split(".")[0] in source.ROOMS
    }


def queue_of(name: str, task: Any) -> str:
    """Return where Celery publishes the task, whether the task, a route or the default says so."""
    own = {"queue": task.queue} if getattr(task, "queue", None) else {}
    queue = app.amqp.router.route(own, name)["queue"]
    return str(queue.name)


def consumed(command: parts.Command) -> set[str]:
    return set(command[command.index("--queues") + 1].split(","))


def test_every_task_is_found() -> None:
    assert {"messaging.drain", "messaging.apply_reports"} <= tasks().keys()


def test_every_queue_that_a_task_goes_to_is_consumed() -> None:
    wanted = {name: queue_of(name, task) for name, task in tasks().items()}

    assert {
        name: queue for name, queue in wanted.items() if queue not in consumed(parts.worker())
    } == {}


def test_every_route_is_one_of_a_task() -> None:
    assert app.conf.task_routes.keys() - tasks().keys() == set()


def test_the_worker_consumes_every_queue_there_is() -> None:
    assert consumed(parts.worker()) == set(QUEUES)
