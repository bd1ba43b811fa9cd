"""Writing a broadcast in the admin: who may, to whom, what is refused on which field, and when."""

import json
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, Organization, Terms
from contacts.models import Contact
from messaging.admin import moments
from messaging.admin.composing import ALPHABET
from messaging.models import Broadcast
from tests.admin.desk import COMPOSE, compose, confirm, drafted
from tests.admin.pages import address, text
from tests.contacts.factories import ContactFactory, TagFactory
from tests.messaging.factories import contacts_in_order, grant
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


# --- who may --------------------------------------------------------------------------------------
def refused(client: Client) -> str:
    """Return what a page says that refuses, in words."""
    answer = client.get(reverse(COMPOSE))
    assert answer.status_code == 403
    assert compose(client).status_code == 403
    return str(answer.content.decode())


def test_S12_who_has_not_accepted_the_terms_is_led_to_them(beto: Member, admin_of: AdminOf) -> None:
    page = refused(admin_of(beto))

    assert reverse("admin:current_terms") in page
    assert not Broadcast.objects.exists()


def test_S12_nobody_sends_while_no_terms_are_published(ana: Member, admin_of: AdminOf) -> None:
    Terms.objects.update(published_at=None)

    refused(admin_of(ana))


def test_S53_a_viewer_cannot_write_a_broadcast(vera: Member, admin_of: AdminOf) -> None:
    assert "Your role Viewer may not do this" in refused(admin_of(vera))


def test_S53_a_superuser_sends_nothing(root: Member, admin_of: AdminOf) -> None:
    assert "belongs to no organization" in refused(admin_of(root))


def test_members_of_a_suspended_organization_are_signed_out(ana: Member, admin_of: AdminOf) -> None:
    client = admin_of(ana)
    Organization.objects.update(status=Organization.Status.SUSPENDED)

    assert compose(client).url.startswith(reverse("admin:login"))


def test_who_is_not_signed_in_is_led_to_the_sign_in(ana: Member) -> None:
    answer = Client().get(reverse(COMPOSE))

    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("admin:login"))


@pytest.mark.parametrize("page", ["contacts_contact", "messaging_broadcast"])
def test_the_way_to_everybody_is_shown_to_who_may_send(
    ana: Member, vera: Member, root: Member, admin_of: AdminOf, page: str
) -> None:
    lists = f"admin:{page}_changelist"
    button = "Send to all"

    assert button in text(admin_of(ana).get(reverse(lists)))
    assert button not in text(admin_of(vera).get(reverse(lists)))
    assert button not in text(admin_of(root).get(reverse(lists)))


def test_start_page_and_organization_lead_to_everybody(
    ana: Member, vera: Member, root: Member, admin_of: AdminOf
) -> None:
    assert ana.organization is not None
    way = reverse("admin:accounts_organization_send_to_all", args=[ana.organization.pk])
    buttons = {address(ana.organization, "change"): way, reverse("admin:index"): reverse(COMPOSE)}

    for page, button in buttons.items():
        assert f'href="{button}"' in admin_of(ana).get(page).content.decode()
        assert f'href="{button}"' not in admin_of(vera).get(page).content.decode()
        assert f'href="{button}"' not in admin_of(root).get(page).content.decode()
    assert admin_of(ana).get(way)["Location"] == reverse(COMPOSE)
    assert admin_of(vera).get(way).status_code == 403


# --- to whom --------------------------------------------------------------------------------------
def acted(client: Client, query: str, *contacts: Contact, across: bool = False) -> str:
    """Run the action on the list of contacts at this address; return where it leads to."""
    answer = client.post(
        f"{reverse('admin:contacts_contact_changelist')}{query}",
        {
            "action": "send_to_selected",
            "_selected_action": [str(contact.pk) for contact in contacts],
            "select_across": "1" if across else "0",
        },
    )
    assert answer.status_code == 302
    return str(answer["Location"])


def sent_to(client: Client, preview: str) -> set[str]:
    """Confirm a preview; return the numbers that were written to."""
    answer = confirm(client, preview)
    assert "/change/" in answer.url
    newest = Broadcast.objects.latest("created_at")
    return set(newest.messages.values_list("recipient", flat=True))


def test_the_selected_rows_are_written_to_and_nobody_else(ana: Member, admin_of: AdminOf) -> None:
    assert ana.organization is not None
    grant(ana.organization, 100)
    one, two, _three = contacts_in_order(
        ana.organization, "+573001111111", "+573002222222", "+573003333333"
    )
    client = admin_of(ana)

    way = urlsplit(acted(client, "", one, two))

    assert way.path == reverse(COMPOSE)
    assert "2 contacts that you chose" in text(client.get(way.geturl()))
    assert sent_to(client, drafted(client, query=way.query)) == {one.phone, two.phone}
    assert Broadcast.objects.get().audience_kind == Broadcast.AudienceKind.SELECTION


def test_all_of_a_filter_are_written_to_on_whatever_page_they_stand(
    ana: Member, admin_of: AdminOf
) -> None:
    assert ana.organization is not None
    grant(ana.organization, 100)
    tag = TagFactory.create(organization=ana.organization)
    friends = ContactFactory.create_batch(60, organization=ana.organization)
    for friend in friends:
        friend.tags.add(tag)
    ContactFactory.create(organization=ana.organization)
    client = admin_of(ana)

    way = urlsplit(acted(client, f"?tags__id__exact={tag.pk}&p=2&o=1&q=", friends[0], across=True))

    kept = parse_qs(parse_qs(way.query)["filter"][0])
    assert kept == {"tags__id__exact": [str(tag.pk)]}
    assert "All contacts of your filter" in text(client.get(way.geturl()))
    assert sent_to(client, drafted(client, query=way.query)) == {one.phone for one in friends}


def test_a_search_is_a_filter_too(ana: Member, admin_of: AdminOf) -> None:
    assert ana.organization is not None
    grant(ana.organization, 100)
    call_command("make_contacts", organization=str(ana.organization.pk), count=3)
    luz = ContactFactory.create(organization=ana.organization, name="Luz Marina")
    client = admin_of(ana)

    way = urlsplit(acted(client, "?q=luz", luz, across=True))

    assert sent_to(client, drafted(client, query=way.query)) == {luz.phone}


def test_all_of_no_filter_are_everybody(ana: Member, admin_of: AdminOf) -> None:
    one = ContactFactory.create(organization=ana.organization)

    assert acted(admin_of(ana), "?p=1&q=", one, across=True) == reverse(COMPOSE)


def test_S54_contacts_of_another_organization_are_never_written_to(
    ana: Member, carla: Member, admin_of: AdminOf
) -> None:
    assert ana.organization is not None
    grant(ana.organization, 100)
    ours = ContactFactory.create(organization=ana.organization)
    theirs = ContactFactory.create(organization=carla.organization)
    client = admin_of(ana)

    chosen = drafted(client, query=f"contacts={ours.pk.hex},{theirs.pk.hex}")

    assert sent_to(client, chosen) == {ours.phone}


@pytest.mark.parametrize(
    "query",
    [
        "contacts=1,2",
        "contacts=" + ",".join([f"{n:032x}" for n in range(101)]),
        "filter=organization__name__startswith%3DB",
        "filter=nope%3D1",
        "draft=nobody",
    ],
)
def test_an_address_that_names_nobody_says_so(ana: Member, admin_of: AdminOf, query: str) -> None:
    client = admin_of(ana)

    answer = compose(client, query=query)

    assert answer.status_code == 404
    assert reverse(COMPOSE) in answer.content.decode()


def test_the_page_tells_how_many_can_be_reached_and_what_a_segment_costs(
    ana: Member, admin_of: AdminOf
) -> None:
    assert ana.organization is not None
    grant(ana.organization, 1_000)
    contacts_in_order(ana.organization, "+573001111111", "300 222 2222", "+525512345678", "12")

    page = admin_of(ana).get(reverse("admin:messaging_broadcast_audience"), {"country": "57"})

    assert "3 people get a message. 1 contact is skipped" in text(page)
    assert 'data-credits-a-segment="3"' in page.content.decode()
    assert 'data-balance="1000"' in page.content.decode()


@pytest.mark.parametrize(("country", "kind"), [("ZZ", "SMS"), ("CO", "PIGEON"), ("%00", "SMS")])
def test_how_many_can_be_reached_is_refused_in_words(
    ana: Member, admin_of: AdminOf, country: str, kind: str
) -> None:
    way = f"{reverse('admin:messaging_broadcast_audience')}?country={country}&kind={kind}"

    assert admin_of(ana).get(way).status_code in {200, 400}


# --- what -----------------------------------------------------------------------------------------
def test_the_alphabets_come_from_the_server(ana: Member, admin_of: AdminOf) -> None:
    page = admin_of(ana).get(reverse(COMPOSE)).content.decode()

    handed_over = page.split('data-alphabet="')[1].split('"')[0]

    assert json.loads(unescape(handed_over)) == ALPHABET


@pytest.mark.parametrize(
    ("fields", "wrong", "says"),
    [
        ({"text": ""}, "text", "required"),
        ({"text": " \u200b\n "}, "text", "nothing to see"),
        ({"text": "a" * 10_001}, "text", "10000"),
        ({"text": "a" * 3_000}, "text", "Shorten it"),
        ({"kind": "PIGEON"}, "kind", "not one of the available choices"),
        ({"country": "Narnia"}, "country", "no country"),
        ({"country": "FR"}, "country", "may not send to FR"),
        ({"when": "later"}, "moment", "Give the day and the time"),
        ({"when": "later", "moment": "soon"}, "moment", "as 2026-12-24 18:30"),
        ({"when": "later", "moment": "2001-01-01T10:00"}, "moment", "has passed"),
        ({"when": "later", "moment": "2999-01-01T10:00"}, "moment", "90 days"),
        ({"when": "later", "moment": "0001-01-01T00:00", "time_zone": "Asia/Tokyo"}, "moment", ""),
        ({"when": "later", "time_zone": "Mars/Olympus"}, "time_zone", "no time zone"),
        ({"when": "later", "time_zone": "../../etc/passwd"}, "time_zone", "no time zone"),
        ({"when": "some day"}, "when", "not one of the available choices"),
    ],
)
def test_what_cannot_be_sent_is_told_on_its_field(
    ana: Member, admin_of: AdminOf, fields: dict[str, str], wrong: str, says: str
) -> None:
    Organization.objects.update(allowed_countries=["CO"])

    answer = compose(admin_of(ana), **{"text": "Hola", **fields})

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [wrong]
    assert says in str(answer.context["form"].errors[wrong])


def test_a_line_break_counts_as_one_character_and_blanks_are_kept(
    ana: Member, admin_of: AdminOf
) -> None:
    assert ana.organization is not None
    grant(ana.organization, 10)
    ContactFactory.create(organization=ana.organization)
    client = admin_of(ana)

    sent_to(client, drafted(client, "  Hola\r\nAna "))

    assert Broadcast.objects.get().text == "  Hola\nAna "


# --- when -----------------------------------------------------------------------------------------
def test_a_moment_is_meant_in_the_time_zone_of_whoever_writes_it(
    ana: Member, admin_of: AdminOf
) -> None:
    assert ana.organization is not None
    grant(ana.organization, 10)
    ContactFactory.create(organization=ana.organization)
    bogota = ZoneInfo("America/Bogota")
    moment = (
        (timezone.now() + timedelta(days=2)).astimezone(bogota).replace(second=0, microsecond=0)
    )
    client = admin_of(ana)

    preview = drafted(
        client, when="later", moment=f"{moment:%Y-%m-%dT%H:%M}", time_zone="America/Bogota"
    )
    shown = text(client.get(preview))
    sent_to(client, preview)

    assert f"It goes out at {moment:%Y-%m-%d %H:%M} America/Bogota (UTC-0500)" in shown
    assert "Schedule for 1 person" in shown
    broadcast = Broadcast.objects.get()
    assert broadcast.scheduled_at == moment
    assert broadcast.status == Broadcast.Status.SCHEDULED


def test_a_time_that_no_clock_shows_is_refused_and_of_two_the_first_is_taken() -> None:
    with pytest.raises(ValidationError, match="put forward"):
        moments.in_zone(datetime(2027, 3, 28, 2, 30), "Europe/Madrid")  # noqa: DTZ001 - of a wall clock
    first = moments.in_zone(datetime(2027, 10, 31, 2, 30), "Europe/Madrid")  # noqa: DTZ001

    assert first == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


def test_a_draft_is_changed_with_all_that_was_written(ana: Member, admin_of: AdminOf) -> None:
    assert ana.organization is not None
    chosen = ContactFactory.create(organization=ana.organization)
    client = admin_of(ana)
    moment = f"{timezone.now() + timedelta(days=3):%Y-%m-%dT%H:%M}"
    preview = drafted(
        client,
        "Mañana <b>cerramos</b>",
        f"contacts={chosen.pk.hex}",
        kind="SMS",
        country="co",
        when="later",
        moment=moment,
        time_zone="UTC",
    )

    form = client.get(f"{reverse(COMPOSE)}?draft={preview.rstrip('/').split('/')[-1]}")

    page = form.content.decode()
    for written in (
        "Mañana &lt;b&gt;cerramos&lt;/b&gt;",
        'value="CO"',
        moment,
        "1 contact that you",
    ):
        assert written in page
    changed = compose(
        client, "Otra cosa", f"draft={preview.rstrip('/').split('/')[-1]}", kind="SMS"
    )
    assert changed.url == preview
