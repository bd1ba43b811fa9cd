"""The admin's sessions that ended are forgotten, in bites, and those that hold are not."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts import admin_sessions
from accounts.models import Member
from messaging.dispatching import Dispatcher
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


def end(*, count: int) -> None:
    """Leave so many sessions that have ended."""
    yesterday = timezone.now() - timedelta(days=1)
    Session.objects.bulk_create(
        Session(session_key=f"ended-{n}", session_data="", expire_date=yesterday)
        for n in range(count)
    )


def test_the_dispatcher_forgets_what_ended_and_nobody_is_signed_out(
    admin_of: AdminOf, ana: Member
) -> None:
    client = admin_of(ana)
    end(count=3)

    Dispatcher().sweep()

    assert Session.objects.count() == 1
    assert client.get("/admin/").status_code == 200


def test_very_many_are_forgotten_in_bites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_sessions, "BITE", 2)
    end(count=3)

    assert admin_sessions.forget_ended() is True
    assert Session.objects.count() == 1
    assert admin_sessions.forget_ended() is False
    assert Session.objects.count() == 0
