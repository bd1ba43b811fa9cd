"""One sandbox carrier for all tests that need none of their own."""

from collections.abc import Iterator

import pytest

from tests.messaging.sandbox.carrier import Carrier, running


@pytest.fixture(scope="session")
def _shared() -> Iterator[Carrier]:
    with running() as carrier:
        yield carrier


@pytest.fixture
def carrier(_shared: Carrier) -> Carrier:
    """A carrier that remembers nothing."""
    assert _shared.ask("POST", "/_sandbox/reset")[0] == 204
    return _shared
