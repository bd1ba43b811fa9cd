"""Workers that are dead or deaf: the deaf one ends itself, and the dispatcher delivers without them."""

import time
from pathlib import Path

import psutil
import pytest
from pytest_django import Settings

from accounts.models import Member, Organization
from config.celery import QUEUES, app
from messaging import audiences, broadcasts, tasks
from messaging.dispatching import are_workers_late
from messaging.models import Broadcast
from tests.config.working import LIMIT, broker, dispatching, empty_queues, until, working
from tests.messaging.factories import contacts_in_order, grant

pytestmark = pytest.mark.django_db(transaction=True)


def test_B39_a_deaf_worker_ends_with_1_and_leaves_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with working(log) as worker:
        children = psutil.Process(worker.pid).children(recursive=True)
        for queue in QUEUES:
            app.control.cancel_consumer(queue, reply=True, timeout=1)
        tasks.send_canary("delivery")

        ending = worker.wait(timeout=LIMIT)

    assert ending == 1
    assert "worker_is_deaf" in log.read_text()
    gone, alive = psutil.wait_procs(children, timeout=LIMIT)
    assert (len(gone), alive) == (len(children), [])
    empty_queues()


def test_B41_a_worker_that_hangs_while_it_ends_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with working(log) as worker:
        children = psutil.Process(worker.pid).children(recursive=True)
        for child in children:
            child.suspend()

        worker.terminate()
        ending = worker.wait(timeout=LIMIT)

    assert ending == 1
    assert "worker_does_not_end" in log.read_text()
    gone, alive = psutil.wait_procs(children, timeout=LIMIT)
    assert (len(gone), alive) == (len(children), [])


def test_a_worker_that_has_nothing_to_do_lives_on_and_shows_that_it_works(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with working(log) as worker:
        time.sleep(9)  # half as long again as a deaf one lives
        for queue in QUEUES:
            tasks.send_canary(queue)

        until(lambda: not are_workers_late(), log)

        assert worker.poll() is None


@pytest.mark.usefixtures("terms_in_force")
def test_B39_with_a_broker_and_without_a_worker_the_dispatcher_delivers(
    acme: Organization, ana: Member, settings: Settings, tmp_path: Path
) -> None:
    settings.SMS_PROVIDERS = ["console://local"]
    grant(acme, 10)
    contacts_in_order(acme, {"phone": "+573001234567"}, {"phone": "+573001234568"})
    sent = broadcasts.send(member=ana, audience=audiences.Everyone(), text="Hola")
    log = tmp_path / "log"
    with dispatching(log, SMS_PROVIDERS="console://local"), broker() as client:
        until(lambda: Broadcast.objects.get(pk=sent.pk).sent == 2, log)
        waiting = client.llen("delivery")

    assert "no_worker_takes_anything" in log.read_text()
    assert waiting < 20  # wake-ups that nobody takes do not pile up
    empty_queues()
