"""Every queue that a task names is consumed by the worker's own command."""

from celery import current_app

from config import parts
from config.celery import QUEUES, app
from tests.house import source


def queues_of_tasks() -> dict[str, str]:
    """Our tasks with the queue of each, as Celery's own router finds it."""
    app.loader.import_default_modules()
    return {
        name: app.amqp.router.route({}, name)["queue"].name
        for name, task in current_app.tasks.items()
        if task.__module__.split(".")[0] in source.ROOMS
    }


def consumed(command: parts.Command) -> set[str]:
    return set(command[command.index("--queues") + 1].split(","))


def test_every_task_is_found() -> None:
    assert {"messaging.drain", "messaging.apply_reports"} <= queues_of_tasks().keys()


def test_every_queue_that_a_task_names_is_consumed() -> None:
    waiting_for_ever = {
        task: queue
        for task, queue in queues_of_tasks().items()
        if queue not in consumed(parts.worker())
    }

    assert waiting_for_ever == {}


def test_the_worker_consumes_every_queue_there_is() -> None:
    assert consumed(parts.worker()) == set(QUEUES)
