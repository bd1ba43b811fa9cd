"""What the tests of sending share: contacts, credits, and a provider that answers as it is told."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from accounts.models import Member, Organization
from billing import invariants
from contacts.models import Contact
from messaging import audiences, broadcasts, providers
from messaging.models import Broadcast
from messaging.providers.memory import Memory
from tests.messaging import factories

Contacts = Callable[..., list[Contact]]
Send = Callable[..., Broadcast]


@pytest.fixture
def memory(settings: Settings) -> Iterator[Memory]:
    """The only provider there is: it takes every message unless a test tells it otherwise."""
    settings.SMS_PROVIDERS = ["memory://local?concurrency=1"]
    (provider,) = providers.configured()
    assert isinstance(provider, Memory)
    provider.clear()
    yield provider
    provider.clear()


@pytest.fixture
def grant(db: None) -> Callable[[Organization, int], None]:
    return factories.grant


@pytest.fixture
def contacts(acme: Organization) -> Contacts:
    """Make contacts of Acme with these numbers, in this order."""

    def made(*phones: str, **fields: object) -> list[Contact]:
        return factories.contacts_in_order(acme, *({"phone": phone, **fields} for phone in phones))

    return made


@pytest.fixture
def send(ana: Member, memory: Memory) -> Send:
    """Send to everybody as Ana."""

    def sent(text: str = "Hola", **fields: str) -> Broadcast:
        return broadcasts.send(member=ana, audience=audiences.Everyone(), text=text, **fields)

    return sent


@pytest.fixture
def books_balance(db: None) -> Iterator[None]:
    """After the test every invariant of messages, counters and credits holds."""
    yield
    faults = [found for found in invariants.check(thorough=True) if found.rows]
    assert not faults, faults
