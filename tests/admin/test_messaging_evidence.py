"""Evidence of what was sent: nobody changes it here, and each organization sees its own alone."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, Organization
from accounts.roles import Role
from messaging.models import (
    Broadcast,
    DeliveryReport,
    Heartbeat,
    InboundMessage,
    Message,
    MessageEvent,
    Skip,
)
from tests.admin.pages import address, rows
from tests.factories import MemberFactory
from tests.messaging.rows import (
    BroadcastFactory,
    DeliveryReportFactory,
    InboundMessageFactory,
    MessageEventFactory,
    MessageFactory,
    SkipFactory,
)
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

EVIDENCE = [Broadcast, Message, Skip, MessageEvent, DeliveryReport, InboundMessage]


def row_of(member: Member, model: type[Model]) -> Any:
    """Make a row that belongs to the member's organization."""
    broadcast = BroadcastFactory.create(member=member)
    message = MessageFactory.create(
        broadcast=broadcast, provider="twilio:AC1", submit_started_at=timezone.now()
    )
    made: dict[type[Model], Callable[[], Any]] = {
        Broadcast: lambda: message.broadcast,
        Message: lambda: message,
        Skip: lambda: SkipFactory.create(broadcast=message.broadcast),
        MessageEvent: lambda: MessageEventFactory.create(message=message),
        DeliveryReport: lambda: DeliveryReportFactory.create(message_id=message.pk),
        InboundMessage: lambda: InboundMessageFactory.create(sender=message.recipient),
    }
    return made[model]()


@pytest.mark.parametrize("model", EVIDENCE)
@pytest.mark.parametrize("who", ["owner", "superuser"])
def test_evidence_is_neither_added_nor_changed_nor_deleted_by_anyone(
    ana: Member, root: Member, admin_of: AdminOf, model: type[Model], who: str
) -> None:
    row = row_of(ana, model)
    before = type(row).objects.filter(pk=row.pk).values().get()
    client = admin_of(ana if who == "owner" else root)
    fields = {"text": "x", "status": "FAILED", "reason": "x", "detail": "x", "code": "x"}

    assert client.get(address(row, "change")).status_code == 200
    for page in (address(model, "add"), address(row, "delete")):
        assert client.get(page).status_code == 403
        assert client.post(page, {"post": "yes", **fields}).status_code == 403
    assert client.post(address(row, "change"), fields).status_code == 403
    assert client.post(address(row, "change"), {"_saveasnew": "1", **fields}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"}
    client.post(address(model), chosen)
    assert type(row).objects.filter(pk=row.pk).values().get() == before
    assert type(row).objects.count() == 1


@pytest.mark.parametrize("model", EVIDENCE)
def test_no_button_offers_to_change_evidence(
    root: Member, ana: Member, admin_of: AdminOf, model: type[Model]
) -> None:
    row = row_of(ana, model)
    client = admin_of(root)

    pages = client.get(address(model)).content + client.get(address(row, "change")).content

    for offer in (b'name="_save"', b'name="action"', b"/delete/", b"/add/", b"deletelink"):
        assert offer not in pages


@pytest.mark.parametrize("model", EVIDENCE)
def test_carla_finds_nothing_of_acme_in_any_list(
    ana: Member, carla: Member, admin_of: AdminOf, model: type[Model]
) -> None:
    theirs, ours = row_of(ana, model), row_of(carla, model)
    client = admin_of(carla)

    assert rows(client.get(address(model))) == [ours]
    for name in ("q", "broadcast"):
        for written in _names_of(theirs):
            answer = client.get(address(model), {name: written})
            if answer.status_code == 200:
                assert theirs not in rows(answer)
            else:
                assert answer.status_code == 400


def _names_of(row: Any) -> list[str]:
    names = [row.pk, getattr(row, "broadcast_id", None), getattr(row, "message_id", None)]
    return [str(name) for name in names if name] + [getattr(row, "recipient", "")]


@pytest.mark.parametrize("model", EVIDENCE)
@pytest.mark.parametrize("page", ["change", "history"])
def test_carla_opens_no_page_of_acme(
    ana: Member, carla: Member, admin_of: AdminOf, model: type[Model], page: str
) -> None:
    theirs = row_of(ana, model)

    answer = admin_of(carla).get(address(theirs, page))

    assert answer.status_code == 404


@pytest.mark.parametrize("model", EVIDENCE)
def test_no_other_column_opens_a_page(
    ana: Member, carla: Member, admin_of: AdminOf, model: type[Model]
) -> None:
    row = row_of(ana, model)
    page = reverse(
        f"admin:messaging_{model._meta.model_name}_change", args=[str(ana.organization_id)]
    )

    answer = admin_of(carla).get(page, {"_to_field": "organization"})

    assert answer.status_code in {400, 404}
    assert admin_of(carla).get(address(row, "change"), {"_popup": "1"}).status_code == 404


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("message", "broadcast"),
        ("message", "organization"),
        ("message", "contact"),
        ("skip", "broadcast"),
        ("messageevent", "message"),
        ("broadcast", "member"),
        ("broadcast", "organization"),
    ],
)
def test_autocomplete_offers_carla_nothing_of_acme(
    ana: Member, carla: Member, admin_of: AdminOf, model: str, field: str
) -> None:
    message = row_of(ana, Message)
    for term in ("", "acme", "ana", str(message.pk), str(message.broadcast_id), message.recipient):
        question = {"app_label": "messaging", "model_name": model, "field_name": field}

        answer = admin_of(carla).get(reverse("admin:autocomplete"), {**question, "term": term})

        assert answer.status_code == 200
        for secret in (message.pk, message.broadcast_id, ana.pk, "acme", "Acme"):
            assert str(secret) not in answer.content.decode()


def test_the_member_filter_offers_and_names_only_colleagues(
    ana: Member, carla: Member, admin_of: AdminOf
) -> None:
    page = admin_of(carla).get(address(Broadcast), {"member__id__exact": str(ana.pk)})

    assert rows(page) == []
    assert "ana@acme.example" not in page.content.decode()


def test_a_report_of_no_known_message_is_shown_to_the_platform_alone(
    ana: Member, root: Member, admin_of: AdminOf
) -> None:
    stray = DeliveryReportFactory.create(provider_message_id="SM1")

    assert rows(admin_of(root).get(address(DeliveryReport))) == [stray]
    assert rows(admin_of(ana).get(address(DeliveryReport))) == []
    assert admin_of(ana).get(address(stray, "change")).status_code == 404


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("model", EVIDENCE)
def test_every_role_reads_the_evidence(
    acme: Organization, admin_of: AdminOf, role: str, model: type[Model]
) -> None:
    member = MemberFactory.create(organization=acme, role=role)
    row = row_of(member, model)

    assert rows(admin_of(member).get(address(model))) == [row]
    assert admin_of(member).get(address(row, "change")).status_code == 200


@pytest.mark.parametrize("model", EVIDENCE)
def test_who_is_not_signed_in_is_sent_to_the_sign_in(ana: Member, model: type[Model]) -> None:
    row = row_of(ana, model)

    for page in (address(model), address(row, "change"), address(row, "history")):
        answer = Client().get(page)
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("admin:login"))


def test_who_has_a_one_time_password_reads_nothing(ana: Member, admin_of: AdminOf) -> None:
    BroadcastFactory.create(member=ana, text="Secret")
    client = admin_of(ana)
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)

    assert client.get(address(Broadcast)).status_code == 302
    start = client.get(reverse("admin:index"))
    assert "Secret" not in start.content.decode()
    assert "one-time password" in start.content.decode()


@pytest.mark.parametrize("model", EVIDENCE)
def test_markup_in_texts_and_names_stays_text(
    ana: Member, root: Member, admin_of: AdminOf, model: type[Model]
) -> None:
    evil = "<script>alert(1)</script>"
    Organization.objects.update(name=evil)
    broadcast = BroadcastFactory.create(member=Member.objects.get(pk=ana.pk), text=evil)
    message = MessageFactory.create(
        broadcast=broadcast, error_message=evil, error_code=evil, submit_started_at=timezone.now()
    )
    made: dict[type[Model], Callable[[], Any]] = {
        Broadcast: lambda: broadcast,
        Message: lambda: message,
        Skip: lambda: SkipFactory.create(broadcast=broadcast, phone=evil),
        MessageEvent: lambda: MessageEventFactory.create(message=message, detail=evil),
        DeliveryReport: lambda: DeliveryReportFactory.create(
            message_id=message.pk, reason=evil, code=evil, provider=evil, raw={evil: evil}
        ),
        InboundMessage: lambda: InboundMessageFactory.create(
            sender=evil[:32], text=evil, recipient=evil[:32], provider=evil, raw={evil: evil}
        ),
    }
    row = made[model]()
    client = admin_of(root)

    for page in (address(model), address(row, "change"), reverse("admin:index")):
        shown = client.get(page).content.decode()
        assert "<script>alert(1)" not in shown
        assert "&lt;script&gt;alert(1)" in shown


def test_only_the_platform_sees_heartbeats_and_nobody_changes_them(
    ana: Member, root: Member, admin_of: AdminOf
) -> None:
    beat = Heartbeat.objects.create(part="dispatcher", beat_at=timezone.now())

    assert rows(admin_of(root).get(address(Heartbeat))) == [beat]
    assert admin_of(ana).get(address(Heartbeat)).status_code == 403
    assert admin_of(root).get(address(beat, "change")).status_code == 200
    assert admin_of(root).post(address(beat, "change"), {"part": "x"}).status_code == 403
    assert admin_of(root).post(address(beat, "delete"), {"post": "yes"}).status_code == 403
    assert admin_of(root).get(address(Heartbeat, "add")).status_code == 403
