"""Imports whose worker dies, that meet each other, or that nobody wakes: nothing is lost or doubled."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Organization
from config.celery import QUEUES
from contacts import tasks
from contacts.import_rows import ImportChunk, ImportJob, UntakenRow
from contacts.imports import jobs, records, working
from contacts.models import Contact
from messaging import heartbeats
from messaging import tasks as messaging_tasks
from messaging.dispatching import Dispatcher
from messaging.models import Heartbeat
from messaging.timings import TIMINGS
from tests.api.web import ROOT, database_url
from tests.config.working import empty_queues
from tests.contacts.factories import ContactFactory
from tests.contacts.files import csv
from tests.faults.harness.waiting import until

transactional = pytest.mark.django_db(transaction=True)

ROWS = 12

# A worker that is killed as it writes the n-th row of its life, with a bite under way.
WORKER = """
import os, signal, sys
import django
django.setup()
from contacts.imports import working
left = [int(sys.argv[2])]
copied = working._copied
def copied_or_dead(*given):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return copied(*given)
working._copied = copied_or_dead
while working.work(job_id=sys.argv[1]):
    pass
"""


@pytest.fixture
def begun(sara, monkeypatch) -> ImportJob:
    """An import of twelve numbers, one of them twice, in chunks of two."""
    monkeypatch.setattr(jobs, "CHUNK", 2)
    numbers = [f"+57300{n:07}" for n in range(ROWS - 1)]
    file = csv("phone", *numbers, numbers[0])
    return jobs.start(member=sara, file=file, file_name="people.csv", mode="DELETE_ALL")


def finish(job: ImportJob) -> ImportJob:
    """Work until the import has ended: for a moment the connection of a killed worker still holds it."""

    def has_ended() -> bool:
        while working.work(job_id=job.pk):
            pass
        job.refresh_from_db()
        return job.status != ImportJob.Status.PROCESSING

    until(has_ended, 60, "the import ends")
    return job


def everybody_once(house: Organization) -> None:
    numbers = Contact.objects.living().filter(organization=house).order_by("created_at", "id")
    assert [contact.e164 for contact in numbers] == [f"+57300{n:07}" for n in range(ROWS - 1)]


@transactional
@pytest.mark.parametrize("rows", [1, 4, ROWS])
def test_a_killed_worker_loses_and_doubles_nothing(acme, begun, rows) -> None:
    ContactFactory.create(organization=acme, phone="+573119999999")
    Contact.objects.update(created_at=timezone.now() - timedelta(days=1))

    died = subprocess.run(
        [sys.executable, "-c", WORKER, str(begun.pk), str(rows)],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        },
        check=False,
    )
    left = ImportChunk.objects.filter(job=begun).count()
    job = finish(begun)

    assert died.returncode == -signal.SIGKILL
    assert left == (ROWS - rows) // 2 + 1  # what was committed is not done again
    everybody_once(acme)
    assert (job.status, job.added, job.not_taken, job.deleted) == ("COMPLETED", ROWS - 1, 1, 1)
    assert job.untaken.count() == 1


@transactional
def test_two_workers_at_once_do_it_once(acme, begun) -> None:
    def work() -> None:
        while working.work(job_id=begun.pk):
            pass
        connection.close()

    threads = [threading.Thread(target=work) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    job = finish(begun)
    everybody_once(acme)
    assert (job.added, job.not_taken, job.done) == (ROWS - 1, 1, ROWS)


@transactional
def test_of_two_uploads_at_once_one_is_refused(acme, sara) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def upload() -> None:
        together.wait()
        try:
            jobs.start(member=sara, file=csv("phone", "+573001234567"), file_name="a.csv")
            outcomes.append("taken")
        except jobs.ImportRunning:
            outcomes.append("refused")
        connection.close()

    threads = [threading.Thread(target=upload) for _each in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["refused", "taken"]
    assert (ImportJob.objects.count(), ImportChunk.objects.count()) == (1, 1)


@transactional
def test_what_always_breaks_off_is_given_up(acme, sara, begun, monkeypatch) -> None:
    def broken(*_given: Any, **_named: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(records, "read", broken)
    for _each in range(working.MOST_BROKEN):
        with pytest.raises(ZeroDivisionError):
            working.work(job_id=begun.pk)

    assert not working.work(job_id=begun.pk)

    begun.refresh_from_db()
    assert (begun.status, begun.failure) == ("ERROR", "broken")
    assert ImportChunk.objects.count() == 0
    jobs.start(member=sara, file=csv("phone", "1"), file_name="the next.csv")


@pytest.mark.django_db
def test_a_bite_that_was_kept_makes_good_for_those_that_broke_off(begun) -> None:
    ImportJob.objects.update(broken_bites=working.MOST_BROKEN - 1)

    working.work(job_id=begun.pk)

    begun.refresh_from_db()
    assert begun.broken_bites == 0


@pytest.mark.django_db
def test_a_suspended_house_waits(acme, begun) -> None:
    acme.status = Organization.Status.SUSPENDED
    acme.save()

    assert jobs.left_behind(seconds=0) == []
    assert not working.work(job_id=begun.pk)
    assert begun.chunks.count() == ROWS // 2


@pytest.mark.django_db
def test_a_bite_ends_after_its_time(begun, monkeypatch) -> None:
    monkeypatch.setattr(working, "BITE", 0.0)

    assert working.work(job_id=begun.pk)
    assert begun.chunks.count() == ROWS // 2 - 1


# --- the dispatcher -------------------------------------------------------------------------------
@pytest.fixture
def workers(db: None) -> None:
    """Workers take something from every queue."""
    for queue in QUEUES:
        Heartbeat.objects.update_or_create(
            part=heartbeats.worker(queue), defaults={"beat_at": timezone.now()}
        )


@pytest.fixture
def woken(monkeypatch) -> list[str]:
    """The imports that wake-ups were published for."""
    empty_queues()
    found: list[str] = []
    monkeypatch.setattr(messaging_tasks, "wake_import", lambda job_id: found.append(str(job_id)))
    return found


@pytest.mark.django_db
def test_an_import_that_nobody_works_on_is_woken_once_in_a_while(begun, workers, woken) -> None:
    dispatcher = Dispatcher()

    dispatcher.sweep()
    dispatcher.sweep()

    assert woken == [str(begun.pk)]
    ImportJob.objects.update(woken_at=timezone.now() - timedelta(seconds=TIMINGS.wake_again + 1))
    dispatcher.sweep()
    assert woken == [str(begun.pk)] * 2


@pytest.mark.django_db
def test_one_that_is_being_worked_on_is_not(begun, workers, woken, monkeypatch) -> None:
    monkeypatch.setattr(working, "BITE", 0.0)
    working.work(job_id=begun.pk)

    Dispatcher().sweep()

    assert woken == []


@pytest.mark.django_db
def test_without_a_broker_the_dispatcher_works_on_it(begun, workers, monkeypatch) -> None:
    def away(*_given: Any) -> None:
        raise messaging_tasks.BrokerAway

    monkeypatch.setattr(messaging_tasks, "wake_import", away)

    Dispatcher().sweep()

    begun.refresh_from_db()
    assert begun.status == "COMPLETED"


@pytest.mark.django_db
def test_the_task_works_and_wakes_the_next_while_rows_are_left(begun, monkeypatch) -> None:
    monkeypatch.setattr(working, "BITE", 0.0)
    woken: list[Any] = []
    monkeypatch.setattr(
        tasks.work_import, "apply_async", lambda **given: woken.append(given["args"])
    )

    for _each in range(20):
        tasks.work_import(str(begun.pk))

    begun.refresh_from_db()
    assert begun.status == "COMPLETED"
    assert woken == [(str(begun.pk),)] * (ROWS // 2)
    assert UntakenRow.objects.count() == 1
