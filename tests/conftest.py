"""What all tests share."""

import pytest
from django.utils import translation

pytest_plugins = ["tests.people", "tests.figures"]


@pytest.fixture(autouse=True)
def _language_of_settings() -> None:
    """Begin in the language of the settings, whatever the request of an earlier test asked for."""
    translation.deactivate()
