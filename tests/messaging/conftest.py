"""What the tests of sending share: contacts, credits, and a provider that answers as it is told."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from accounts import rate_limits
from accounts.models import Member, Organization
from billing import invariants
from contacts.models import Contact
from messaging import audiences, broadcasts, classification, estimates, providers, tasks
from messaging.audiences import Audience
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
    rate_limits.forget_all()  # a carrier that was busy in an earlier test
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

    def sent(text: str = "Hola", **fields: Any) -> Broadcast:
        return broadcasts.send(member=ana, audience=audiences.Everyone(), text=text, **fields)

    return sent


@pytest.fixture
def send_to(ana: Member, memory: Memory) -> Send:
    """Send to an audience as Ana, and hold that the estimate just before foresaw all of it."""

    def sent(audience: Audience, text: str = "Hola", **fields: Any) -> Broadcast:
        seen = estimates.estimate(member=ana, audience=audience, text=text, **fields)
        broadcast = broadcasts.send(
            member=ana,
            audience=audience,
            text=text,
            confirm_token=seen.confirm_token,
            **fields,
        )
        assert (seen.recipients, seen.skipped, seen.credits) == (
            broadcast.messages_total,
            broadcast.skipped_by_reason,
            broadcast.credits,
        )
        assert seen.audience == broadcast.audience
        written = broadcast.messages.order_by("id").values_list("recipient", flat=True)
        assert list(seen.sample_recipients) == list(written[: classification.SAMPLES])
        return broadcast

    return sent


@pytest.fixture
def books_balance(db: None) -> Iterator[None]:
    """After the test every invariant of messages, counters and credits holds."""
    yield
    faults = [found for found in invariants.check(thorough=True) if found.rows]
    assert not faults, faults


class Published(list[tuple[object, ...]]):
    """What was published to the broker, as (task, *arguments)."""

    def __init__(self) -> None:
        super().__init__()
        self.queues: list[str] = []  # that canaries were put into

    def of(self, task: str) -> list[list[object]]:
        """Return the arguments of each publication of that task."""
        return [args for name, *args in self if name == f"messaging.{task}"]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    """What is published to the broker; nothing reaches a worker."""
    published = Published()

    def publish(_self: object, task: Any, *args: object, queue: str = "", **_: object) -> None:
        published.append((task.name, *args))
        published.queues.extend(queue.split())

    monkeypatch.setattr(tasks._Broker, "publish", publish)
    monkeypatch.setattr(tasks._Broker, "waiting", lambda *_: 0)
    return published


@pytest.fixture
def wakes(published: Published) -> Callable[[], list[list[object]]]:
    """The broadcasts' wake-ups among all that is published."""
    return lambda: published.of("drain")


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing reaches the broker."""

    def refuse(*_args: object, **_options: object) -> None:
        raise tasks.BrokerAway

    monkeypatch.setattr(tasks._Broker, "publish", refuse)
    monkeypatch.setattr(tasks._Broker, "waiting", lambda *_: 0)
