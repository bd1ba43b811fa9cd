"""Celery's part of contacts: call one verb, publish what follows. Losing or doubling any costs nothing."""

import logging
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError as BrokerError

from contacts.imports import working

log = logging.getLogger(__name__)


@shared_task(name="contacts.work_import")
def work_import(job_id: str) -> None:
    """Work on an import for about two seconds; while rows are left, wake the next."""
    if working.work(job_id=UUID(job_id)):
        # At the tail of the queue, so that imports share the workers with other chores.
        try_waking(UUID(job_id))


def try_waking(job_id: UUID) -> None:
    """Have an import worked on soon if the broker is there; otherwise leave it to the dispatcher."""
    try:
        work_import.apply_async(args=(str(job_id),), retry=False)
    except (BrokerError, OSError) as error:
        log.warning(
            "import_left_to_dispatcher",
            extra={"import": str(job_id), "error": type(error).__name__},
        )
