"""The admin, every page of it: another organization's rows are not there, and looking changes nothing."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.conf import settings as site
from django.contrib import admin
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import audit
from accounts.doors.admin import Evidence
from accounts.models import Member
from billing import caps
from billing.models import SpendingCap
from contacts.models import NumberReading
from messaging.models import Message
from tests.factories import PASSWORD
from tests.messaging.rows import (
    DeliveryReportFactory,
    InboundMessageFactory,
    MessageEventFactory,
)
from tests.people import AdminOf
from tests.security.rows import fill, state

pytestmark = pytest.mark.django_db

OURS: Final = {"accounts", "contacts", "billing", "messaging"}
MODELS: Final = [model for model in admin.site._registry if model._meta.app_label in OURS]
SHARED: Final = {
    "Terms",
    "Rate",
    "Heartbeat",
    "ProviderState",
}  # everybody's, or the platform's alone
OWNED: Final = [model for model in MODELS if model.__name__ not in SHARED]


@pytest.fixture
def carlas(settings: Settings, carla: Member, fresh_rate_limits: None) -> Member:
    """Carla, whose organization has a row of everything that an organization can have."""
    settings.RATE_LIMIT = "off"
    fill(carla)
    house = carla.organization
    assert house is not None
    caps.save(cap=SpendingCap(organization=house, per_day=1_000_000), member=carla)
    audit.record(act="session.began", subject=carla, member=carla)
    message = Message.objects.filter(organization=house)[0]
    Message.objects.filter(pk=message.pk).update(
        provider="memory:local", submit_started_at=timezone.now()
    )
    MessageEventFactory.create(message=message)
    DeliveryReportFactory.create(message_id=message.pk)
    InboundMessageFactory.create(sender=message.recipient, provider="memory:local")
    NumberReading.objects.get_or_create(organization=house, number="3001234567", country="CO")
    return carla


def row_of(member: Member, model: type[Model]) -> Model:
    """Return a row that the member's own list shows."""
    request = RequestFactory().get("/")
    request.user = member
    row: Model | None = admin.site.get_model_admin(model).get_queryset(request).first()
    assert row is not None, f"the fixture makes no {model.__name__}"
    return row


def at(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


# --- S54 ------------------------------------------------------------------------------------------
def test_S54_anothers_row_is_in_no_list_and_on_no_page(
    carlas: Member, ana: Member, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    seen: list[tuple[str, object]] = []
    for model in OWNED:
        row = row_of(carlas, model)
        for asked in ({}, {"q": str(row.pk)}):
            answer = client.get(at(model, "changelist"), asked)
            seen += [
                (model.__name__, asked)
                for shown in answer.context["cl"].result_list
                if shown.pk == row.pk
            ]
        for page in ("change", "history", "delete"):
            status = client.get(at(model, page, row.pk)).status_code
            # Where nobody deletes anything, that is told before anything is looked up.
            if status != 404 and (page, status) != ("delete", 403):
                seen.append((model.__name__, {page: status}))
        status = client.post(at(model, "change", row.pk), {}).status_code
        if status not in {403, 404}:
            seen.append((model.__name__, {"post": status}))

    assert len(OWNED) >= 15
    assert seen == []


def test_S54_nothing_of_another_organization_is_completed(
    carlas: Member, ana: Member, vera: Member, admin_of: AdminOf
) -> None:
    asked = 0
    for who in (ana, vera):
        client = admin_of(who)
        for model in MODELS:
            for field in model._meta.get_fields():
                target = getattr(field, "related_model", None)
                if target not in admin.site._registry or not hasattr(target, "pk"):
                    continue
                answer = client.get(
                    reverse("admin:autocomplete"),
                    {
                        "app_label": model._meta.app_label,
                        "model_name": str(model._meta.model_name),
                        "field_name": field.name,
                    },
                )
                offered = answer.json()["results"] if answer.status_code == 200 else []
                asked += bool(answer.status_code == 200)
                assert not {str(one["id"]) for one in offered} & _ids_of(carlas, target)

    assert asked


def _ids_of(member: Member, model: Any) -> set[str]:
    rows = model._default_manager.all()
    return {
        str(row.pk)
        for row in rows
        if member.organization_id in {row.pk, getattr(row, "organization_id", None)}
    }


EXPORT: Final = "admin:messaging_message_export"


def test_S54_an_export_holds_nothing_of_another_organization(
    carlas: Member, ana: Member, admin_of: AdminOf
) -> None:
    own, others = (_exported(admin_of(who)) for who in (carlas, ana))

    assert b"3001234567" in own
    assert b"3001234567" not in others


def _exported(client: Client) -> bytes:
    answer: Any = client.get(reverse(EXPORT))
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


# --- S55 ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["owner", "root"])
def test_S55_evidence_is_neither_added_nor_changed_nor_deleted(
    carlas: Member, root: Member, admin_of: AdminOf, who: str
) -> None:
    client = admin_of(carlas if who == "owner" else root)
    evidence = [model for model in OWNED if isinstance(admin.site.get_model_admin(model), Evidence)]
    for model in evidence:
        row = row_of(carlas, model)

        assert client.get(at(model, "add")).status_code == 403
        assert client.post(at(model, "change", row.pk), {}).status_code == 403
        assert client.post(at(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        marked = {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"}
        client.post(at(model, "changelist"), marked)
        assert model._default_manager.filter(pk=row.pk).exists()

    assert len(evidence) >= 8


# --- S53, S57 -------------------------------------------------------------------------------------
def addresses(names: dict[str, str]) -> Iterator[str]:
    """Yield every address of the admin, each with one row where it names one."""
    for pattern, name in _patterns(get_resolver().url_patterns, []):
        arguments = pattern.pattern.converters
        model = next((one for one in MODELS if name.startswith(_beginning(one))), None)
        key = names.get(model.__name__) if model else None
        if not arguments and not pattern.pattern.regex.groups:
            yield reverse(f"admin:{name}")
        elif key is not None and len(arguments) == 1:
            yield reverse(f"admin:{name}", args=[key])


def _beginning(model: type[Model]) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}_"


def _patterns(patterns: Any, namespaces: list[str]) -> Iterator[tuple[URLPattern, str]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, [*namespaces, str(pattern.namespace or "")])
        elif pattern.name and "admin" in namespaces:
            yield pattern, pattern.name


def test_S53_looking_at_every_page_changes_nothing(carlas: Member, admin_of: AdminOf) -> None:
    names = {model.__name__: str(row_of(carlas, model).pk) for model in OWNED}
    client, asked = admin_of(carlas), []
    before = state()

    for address in addresses(names):
        if address != reverse(EXPORT):  # whoever takes it is written down
            answer = client.get(address)
            asked.append(address)
            assert answer.status_code < 500, address
            policy = answer.get("Content-Security-Policy", "")
            assert answer.status_code in {301, 302} or "frame-ancestors 'none'" in policy

    assert len(asked) >= 90
    assert state() == before


# --- S52, S57 -------------------------------------------------------------------------------------
def test_S52_the_session_is_short_and_its_cookie_is_nobody_elses(
    fresh_rate_limits: None, ana: Member, client: Client
) -> None:
    client.post(reverse("admin:login"), {"username": ana.email, "password": PASSWORD}, follow=True)
    cookie = client.cookies[site.SESSION_COOKIE_NAME]

    assert cookie["max-age"] == 8 * 60 * 60
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_S52_everybody_with_a_role_may_enter_and_nobody_else(
    ana: Member, sara: Member, vera: Member, root: Member, admin_of: AdminOf
) -> None:
    for member in (ana, sara, vera, root):
        assert admin_of(member).get(reverse("admin:index")).status_code == 200
    assert Client().get(reverse("admin:index")).status_code == 302
    Member.objects.filter(pk=vera.pk).update(is_active=False)
    assert admin_of(vera).get(reverse("admin:index")).status_code == 302


def test_S57_the_headers_of_the_admin(ana: Member, admin_of: AdminOf) -> None:
    page = admin_of(ana).get(reverse("admin:index"))

    policy = page["Content-Security-Policy"]
    assert page["X-Content-Type-Options"] == "nosniff"
    assert page["X-Frame-Options"] == "DENY"
    assert page["Referrer-Policy"] == "same-origin"
    assert "http" not in policy
    assert "*" not in policy
