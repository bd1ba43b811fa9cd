"""What all tests share."""

from typing import Final

import pytest
from django.utils import translation
from hypothesis import settings as examples

pytest_plugins = ["tests.people", "tests.figures"]

# They take minutes: begun last, they would keep one core busy and the others waiting.
_LONGEST: Final = {"test_credits_machine.py", "test_ledger_machine.py"}

# A busy machine is slow: that is no finding.
examples.register_profile("without a deadline", deadline=None)
examples.load_profile("without a deadline")


@pytest.fixture(autouse=True)
def _language_of_settings() -> None:
    """Begin in the language of the settings, whatever the request of an earlier test asked for."""
    translation.deactivate()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in _LONGEST)
