"""The audit trail in the admin: who did what, when, from where, and what it was before."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import translation
from pytest_django import DjangoAssertNumQueries

from accounts import api_keys, audit, members, organizations, seals
from accounts.models import ApiKey, AuditEntry, Member, Organization
from accounts.roles import Role
from tests.admin.accounts_pages import form, listing, page, texts
from tests.admin.pages import rows, text
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

LIST = "auditentry"


def entries(client: Client, **query: Any) -> list[AuditEntry]:
    return rows(client.get(listing(LIST), query))


def told(client: Client, entry: AuditEntry) -> str:
    return text(client.get(page(entry)))


# --- what it tells --------------------------------------------------------------------------------
def test_it_says_in_words_who_did_what_when_and_from_where(
    admin_of: AdminOf, ana: Member, beto: Member
) -> None:
    members.change(member=beto, fields=[], by=ana)
    entry = audit.record(act="member.password_reset", subject=beto, member=ana, address="192.0.2.7")
    client = admin_of(ana)

    for shown in (text(client.get(listing(LIST))), told(client, entry)):
        assert "One-time password given" in shown
        assert "member.password_reset" not in shown
        assert ana.email in shown
        assert "192.0.2.7" in shown
        assert f"{entry.created_at:%Y-%m-%d %H:%M:%S}" in shown


def test_it_says_it_in_spanish_too_where_the_words_are_there(
    admin_of: AdminOf, ana: Member
) -> None:
    audit.record(act="member.changed", subject=ana, member=ana)
    client = admin_of(ana)

    with translation.override("es"):
        assert client.get(listing(LIST), headers={"accept-language": "es"}).status_code == 200


def test_the_system_itself_is_named(admin_of: AdminOf, ana: Member, acme: Organization) -> None:
    audit.record(act="broadcast.paused", subject=f"broadcast:{uuid4()}", organization=acme)

    assert "The system itself" in text(admin_of(ana).get(listing(LIST)))


def test_what_a_program_did_is_told_apart(admin_of: AdminOf, ana: Member) -> None:
    written = api_keys.add(key=ApiKey(name="shop"), by=ana)
    by_key, key = api_keys.member_with(written=written)
    entry = audit.record(act="tag.added", subject="tag:1", member=by_key)
    client = admin_of(ana)

    assert f"{ana.email}, by an API key" in text(client.get(listing(LIST)))
    assert f"By the API key: {key.pk}" in told(client, entry)


def test_the_platforms_people_are_shown_by_name_and_not_by_address(
    admin_of: AdminOf, ana: Member, root: Member, acme: Organization
) -> None:
    audit.record(act="credits.granted", subject=acme, member=root, organization=acme)

    shown = text(admin_of(ana).get(listing(LIST)))
    assert "Platform: Root" in shown
    assert root.email not in shown


def test_a_member_who_is_gone_is_named_by_his_id(admin_of: AdminOf, root: Member) -> None:
    gone = Member.objects.create(email="gone@platform.example", is_superuser=True)
    key = gone.pk
    entry = audit.record(act="terms.drafted", subject="terms:1", member=gone)
    Member.objects.filter(pk=key).delete()

    assert f"A member who is gone: {key}" in told(admin_of(root), entry)


@pytest.mark.parametrize("kind", ["member", "organization", "apikey"])
def test_it_leads_to_the_row_that_it_is_about(
    admin_of: AdminOf, ana: Member, acme: Organization, kind: str
) -> None:
    key = ApiKey(name="shop")
    api_keys.add(key=key, by=ana)
    row = {"member": ana, "organization": acme, "apikey": key}[kind]
    audit.record(act="x", subject=row, member=ana)
    client = admin_of(ana)

    assert f'href="{page(row)}"' in client.get(listing(LIST)).content.decode()
    assert client.get(page(row)).status_code == 200


def test_what_is_about_no_row_of_ours_is_told_as_it_is(admin_of: AdminOf, ana: Member) -> None:
    entry = audit.record(act="retention.ran", subject="<b>messages</b>", member=ana)

    shown = admin_of(ana).get(page(entry)).content.decode()
    assert "&lt;b&gt;messages" in shown
    assert "retention.ran" in shown


# --- before and after -----------------------------------------------------------------------------
def test_settings_are_told_before_and_after(
    admin_of: AdminOf, ana: Member, acme: Organization
) -> None:
    client = admin_of(ana)
    form(
        client,
        page(acme),
        approval_above="500",
        repeat_guard_seconds="60",
        email="new@acme.example",
    )

    entry = AuditEntry.objects.get(act="organization.changed")
    assert entry.details == {
        "fields": ["approval_above", "email", "repeat_guard_seconds"],
        "before": {"approval_above": None, "repeat_guard_seconds": 0},
        "after": {"approval_above": 500, "repeat_guard_seconds": 60},
    }
    shown = told(client, entry)
    assert "Recipients above which a second member approves - 500" in shown
    assert "Seconds in which the same text is not taken twice 0 60" in shown
    assert "new@acme.example" not in shown


def test_a_role_is_told_before_and_after_in_words(
    admin_of: AdminOf, ana: Member, beto: Member
) -> None:
    beto.role = Role.VIEWER
    members.change(member=beto, fields=["role", "name"], by=ana)

    entry = AuditEntry.objects.get(act="member.changed")
    assert entry.details["before"] == {"role": "SENDER"}
    shown = told(admin_of(ana), entry)
    assert "Role Sender Viewer" in shown
    assert "Fields: Name, Role" in shown


def test_suspending_is_told_before_and_after(root: Member, acme: Organization) -> None:
    acme.status = Organization.Status.SUSPENDED
    organizations.change(organization=acme, fields=["status"], by=root)

    details = AuditEntry.objects.get(act="organization.changed").details
    assert (details["before"], details["after"]) == ({"status": "ACTIVE"}, {"status": "SUSPENDED"})


def test_details_of_a_shape_nobody_knows_are_shown_all_the_same(
    admin_of: AdminOf, ana: Member
) -> None:
    for details in ({"a": {"b": [1, None]}, "c": True}, {"before": 1, "after": {}}, {}):
        entry = audit.record(act="x", subject=ana, member=ana, details=details)
        assert admin_of(ana).get(page(entry)).status_code == 200


# --- seals ----------------------------------------------------------------------------------------
def test_it_shows_whether_an_entry_is_sealed(admin_of: AdminOf, ana: Member) -> None:
    sealed = audit.record(act="tag.added", subject=ana, member=ana)
    seals.seal()
    fresh = audit.record(act="tag.added", subject=ana, member=ana)
    client = admin_of(ana)

    assert [entry.pk for entry in entries(client, seal="waits") if entry.act == "tag.added"] == [
        fresh.pk
    ]
    assert "Not sealed yet" in told(client, fresh)
    assert "Not sealed yet" not in told(client, sealed)
    assert f"{sealed.seal.sequence} ·" in told(client, sealed)


# --- finding --------------------------------------------------------------------------------------
def test_it_is_filtered_by_what_was_done(admin_of: AdminOf, ana: Member) -> None:
    made = {
        act: audit.record(act=act, subject=ana, member=ana).pk
        for act in (
            "credits.granted",
            "rate.saved",
            "spending_cap.saved",
            "tag.added",
            "api_key.added",
        )
    }
    client = admin_of(ana)

    found = {entry.pk for entry in entries(client, group="credits")}
    assert found == {made["credits.granted"], made["rate.saved"], made["spending_cap.saved"]}
    assert [entry.pk for entry in entries(client, group="keys")] == [made["api_key.added"]]
    assert {made[act] for act in made} <= {entry.pk for entry in entries(client, group="no such")}


def test_it_is_filtered_by_member_and_period(admin_of: AdminOf, ana: Member, beto: Member) -> None:
    entry = audit.record(act="tag.added", subject=ana, member=beto)
    audit.record(act="tag.added", subject=ana, member=ana)
    client = admin_of(ana)
    today = f"{entry.created_at:%Y-%m-%d}"

    assert [row.pk for row in entries(client, member__id__exact=str(beto.pk))] == [entry.pk]
    assert entry.pk in [row.pk for row in entries(client, created_at_from=today)]
    assert entries(client, created_at_to="2020-01-01") == []


def test_it_finds_all_that_was_done_to_one_row_by_its_id(
    admin_of: AdminOf, ana: Member, beto: Member
) -> None:
    entry = audit.record(act="member.changed", subject=beto, member=ana)
    other = audit.record(act="member.changed", subject=ana, member=ana)
    client = admin_of(ana)

    assert [row.pk for row in entries(client, q=str(beto.pk))] == [entry.pk]
    assert [row.pk for row in entries(client, q=f" {str(other.pk).upper()} ")] == [other.pk]
    assert entries(client, q="member") == []


@pytest.mark.parametrize("query", [{"subject__contains": "x"}, {"details__amount": "1"}])
def test_no_column_without_an_index_is_searched(
    admin_of: AdminOf, ana: Member, query: dict[str, str]
) -> None:
    assert admin_of(ana).get(listing(LIST), query).status_code in (302, 400)


# --- whose it is ----------------------------------------------------------------------------------
def test_S54_the_acts_of_others_are_neither_listed_nor_found(
    admin_of: AdminOf, ana: Member, carla: Member
) -> None:
    entry = audit.record(act="member.changed", subject=carla, member=carla)
    client = admin_of(ana)

    for query in (
        {},
        {"q": str(carla.pk)},
        {"q": str(entry.pk)},
        {"group": "members"},
        {"seal": "waits"},
    ):
        assert entry.pk not in [row.pk for row in entries(client, **query)]
    assert client.get(page(entry)).status_code == 404
    assert client.get(page(entry).replace("change/", "history/")).status_code == 404


def test_a_viewer_sees_the_trail_and_changes_nothing(admin_of: AdminOf, vera: Member) -> None:
    entry = audit.record(act="member.changed", subject=vera, member=vera)
    client = admin_of(vera)

    assert entry.pk in [row.pk for row in entries(client)]
    assert client.post(page(entry), {"act": "x"}).status_code == 403


# --- cost -----------------------------------------------------------------------------------------
def test_the_list_asks_nothing_per_row(
    admin_of: AdminOf,
    ana: Member,
    beto: Member,
    acme: Organization,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(30):
        audit.record(act="member.changed", subject=beto if number % 2 else acme, member=ana)
    seals.seal()
    client = admin_of(ana)
    client.get(listing(LIST))

    with django_assert_max_num_queries(8):
        assert len(entries(client)) >= 30


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        ({"audience": "all"}, "Audience: All contacts"),
        ({"format": "csv", "filters": []}, "Filtered by: Nothing: all of it Format: CSV"),
        (
            {"filters": ["created_at_from", "created_at_to", "q", "status__exact"]},
            "Filtered by: created at, search, status",
        ),
        ({"from": None, "to": "2026-03-01T12:00:00+00:00"}, "From: - To: 2026-03-01 12:00:00"),
        ({"because": "organization suspended"}, "Because: the organization was suspended"),
        ({"paused_because": "error_rate"}, "Paused because: Too many failures"),
    ],
)
def test_what_an_act_says_is_read_in_words(
    admin_of: AdminOf, ana: Member, details: dict[str, Any], shown: str
) -> None:
    entry = audit.record(
        act="broadcast.paused", subject=f"broadcast:{uuid4()}", member=ana, details=details
    )

    assert shown in told(admin_of(ana), entry)


# --- the history of one row -----------------------------------------------------------------------
def test_a_rows_history_is_what_the_trail_has_of_it(
    admin_of: AdminOf, ana: Member, sara: Member
) -> None:
    entry = audit.record(act="member.changed", subject=sara, member=ana)
    audit.record(act="member.changed", subject=ana, member=ana)
    client = admin_of(ana)
    history = page(sara).replace("change/", "history/")

    shown = client.get(history, follow=True)

    assert history in texts(client.get(page(sara)))
    assert [row.pk for row in shown.context["cl"].result_list] == [entry.pk]


def test_where_the_trail_has_nothing_no_history_is_offered(
    admin_of: AdminOf, ana: Member, sara: Member
) -> None:
    entry = audit.record(act="member.changed", subject=ana, member=ana)
    client = admin_of(ana)

    for row in (sara, entry):
        assert page(row).replace("change/", "history/") not in texts(client.get(page(row)))
