"""Who the hostile requests come from: somebody whose good ones would be served."""

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf
from tests.security.rows import fill


@pytest.fixture
def ana_client(
    client_of: ClientOf, ana: Member, acme: Organization, settings: Settings
) -> APIClient:
    """Ana, whose sends would go out: she has contacts and credits, and no limit."""
    settings.RATE_LIMIT = "off"
    contacts_in_order(acme, "+573001234567")
    grant(acme, 100)
    return client_of(ana)


@pytest.fixture
def names(
    settings: Settings, ana: Member, carla: Member, fresh_rate_limits: None
) -> dict[str, str]:
    settings.RATE_LIMIT = "off"
    return {
        **{f"{{{name}}}": pk for name, pk in fill(ana).ids.items()},
        **{f"{{others.{name}}}": pk for name, pk in fill(carla).ids.items()},
    }
