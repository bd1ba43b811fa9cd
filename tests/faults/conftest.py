"""The stack of the fault tests, and the question that is asked after each of them."""

from collections.abc import Callable, Generator, Iterator

import pytest
import pytest_django

from tests.faults.harness.accounting import everything_is_accounted_for
from tests.faults.harness.stack import Stack

_TAIL = 80  # lines of each log that are shown when a test fails


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak", action="store_true", help="run what `make soak` runs: the long versions alone"
    )
    parser.addoption("--soak-minutes", default="30", help="how long the steady soak lasts")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: takes long; runs with --soak alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wants_soak = config.getoption("--soak", default=False)
    chosen = [item for item in items if bool(item.get_closest_marker("soak")) == wants_soak]
    if len(chosen) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


@pytest.fixture(scope="session")
def _common_stack(django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[Stack]:
    """One stack for all tests that do not break it for good."""
    common = Stack(django_db_blocker)
    yield common
    try:
        assert "hold" in common.manage("audit_ledger", "--all")
    finally:
        common.stop()


@pytest.fixture
def stack(_common_stack: Stack, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The common stack: break what you like, it is mended after the test, and E0 is asked.

    Make an organization of your own by `stack.house(contacts=…)`; other tests do not see it.
    """
    _common_stack.begin()
    request.node.stash[_STACKS] = [_common_stack]
    yield _common_stack
    _ask(_common_stack)


@pytest.fixture
def own_stack(
    django_db_blocker: pytest_django.DjangoDbBlocker, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Stack]]:
    """Make a stack of this test's own: `own_stack(MAX_AUDIENCE="10", pool=6)`; E0 is asked of it too.

    It takes about ten seconds: only for what an environment, a setting or a broken server needs.
    """
    made: list[Stack] = []

    def make(**options: object) -> Stack:
        new = Stack(django_db_blocker, **options)  # type: ignore[arg-type] # as Stack takes them
        made.append(new)
        request.node.stash[_STACKS] = made
        return new

    yield make
    try:
        for one in made:
            _ask(one)
    finally:
        for one in made:
            one.stop()


_STACKS: pytest.StashKey[list[Stack]] = pytest.StashKey()


def _ask(stack: Stack) -> None:
    """Mend the stack and hold E0 against every broadcast of the test's organizations."""
    stack.mend()
    organizations = [house.organization.pk for house in stack.houses]
    rows = stack.sql(
        "SELECT id FROM messaging_broadcast WHERE organization_id = ANY(%s)", organizations
    )
    everything_is_accounted_for(stack, [queue_id for (queue_id,) in rows])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for stack in item.stash.get(_STACKS, []):
            for name, log in stack.logs():
                tail = "\n".join(log.splitlines()[-_TAIL:])
                report.sections.append((f"{name}, its last {_TAIL} lines", tail))
    return report
