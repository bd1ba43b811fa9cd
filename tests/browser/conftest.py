"""One whole Pregón and one Chromium for all browser tests; windows of their own for each."""

import os
from collections.abc import Callable, Iterator

import pytest
import pytest_django
from playwright.sync_api import Browser

from accounts.models import Member
from tests.browser import chromium
from tests.browser.windows import Window
from tests.faults.harness.stack import USUAL_PROVIDER, Stack

NewWindow = Callable[..., Window]

RATE = 40  # messages a second: slow enough to be watched


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium.program() is None:
        pytest.exit(chromium.MISSING, returncode=1)
    with chromium.running() as started:
        # Playwright keeps an event loop in this thread, in which Django would refuse to read a row.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "yes"
        yield started


@pytest.fixture(scope="session")
def stack(browser: Browser, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[Stack]:
    """Web, worker, dispatcher, carrier, PostgreSQL and Valkey, for all of these tests."""
    started = Stack(
        django_db_blocker, pool=2, direct=True, SMS_PROVIDERS=f"{USUAL_PROVIDER}&rate={RATE}"
    )
    yield started
    started.stop()


@pytest.fixture
def window(stack: Stack, browser: Browser) -> Iterator[NewWindow]:
    """Open a member's window: `window(ana, viewport=NARROW)`. In the end nothing went wrong unseen."""
    opened: list[Window] = []

    def new(member: Member | None, **options: object) -> Window:
        opened.append(Window(stack, browser, member, **options))
        return opened[-1]

    yield new
    for each in opened:
        each.close()
    assert [fault for each in opened for fault in each.faults] == []
