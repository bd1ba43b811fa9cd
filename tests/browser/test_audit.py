"""Answering an auditor: each filter of the messages, exact search, a message's life, export, trail."""

import csv
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.roles import Role
from messaging.models import Kind, Message
from tests.browser.conftest import NewWindow
from tests.browser.windows import Window
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.messaging.rows import BroadcastFactory, MessageFactory

Rows = dict[str, Message]
Status, Charge = Message.Status, Message.Charge
LIST = "messaging_message_changelist"


@pytest.fixture(scope="module")
def house(stack: Stack) -> House:
    return stack.house()


@pytest.fixture(scope="module")
def rows(stack: Stack, house: House) -> Iterator[Rows]:
    """Messages by what is special of them."""
    sara = house.add_member(Role.SENDER)
    with stack.django():
        delivered: dict[str, Any] = {"status": Status.DELIVERED, "charge": Charge.CAPTURED}
        ordinary = BroadcastFactory.create(
            member=house.ana, providers=["twilio:AC1", "infobip:acme"]
        )
        flash = BroadcastFactory.create(member=sara, kind=Kind.FLASH)
        old = timezone.now() - timedelta(days=2)
        aged = BroadcastFactory.create(member=house.ana, created_at=old)
        yield {
            "delivered": MessageFactory.create(
                broadcast=ordinary, **delivered, provider="twilio:AC1", provider_message_id="SM-a"
            ),
            "refused": MessageFactory.create(
                broadcast=ordinary,
                status=Status.FAILED,
                charge=Charge.RELEASED,
                error_code="21211",
                provider="infobip:acme",
            ),
            "flash": MessageFactory.create(broadcast=flash, **delivered, segments=3, credits=3),
            "silent": MessageFactory.create(
                broadcast=aged,
                created_at=old,
                sent_at=old,
                status=Status.SENT,
                charge=Charge.CAPTURED,
            ),
            "unknown": MessageFactory.create(
                broadcast=aged, created_at=old, status=Status.UNKNOWN, country="US"
            ),
        }


def shown(audit: Window, rows: Rows, names: set[str]) -> None:
    """Wait until the list shows these messages and no others."""
    expect(audit.one("#result_list tbody tr")).to_have_count(len(names))
    read = audit.one("#result_list tbody th").all_inner_texts()
    assert {one.strip() for one in read} == {rows[name].recipient for name in names}


def pick(audit: Window, name: str, words: str) -> None:
    """Choose one of a filter's values, in the list that unfolds."""
    audit.one(f"#id_{name} + .select2 .select2-selection").click()
    audit.one(".select2-results__option", has_text=words).first.click()


def find(audit: Window, name: str, words: str) -> None:
    """Choose a row that is found while one types."""
    audit.one(f"#id_{name} + .select2 .select2-selection").click()
    audit.one(".select2-search__field").fill(words)
    audit.one(".select2-results__option", has_text=words).first.click()


def fill(audit: Window, name: str, words: str) -> None:
    audit.one(f"#id_{name}").fill(words)
    audit.page.keyboard.press("Tab")  # a calendar, where one opened, closes


FILTERS = [
    ("accepted", pick, "Today", {"delivered", "refused", "flash"}),
    ("created_at_to", fill, "{yesterday}", {"silent", "unknown"}),
    ("created_at_from", fill, "{yesterday}", {"delivered", "refused", "flash"}),
    ("group", pick, "Failed or unknown", {"refused", "unknown"}),
    ("status__exact", pick, "Unknown", {"unknown"}),
    ("reason", fill, "21211", {"refused"}),
    ("broadcast", fill, "{flash.broadcast_id}", {"flash"}),
    ("broadcast__member__id__exact", find, "{flash.broadcast.member.email}", {"flash"}),
    ("type", pick, "Flash", {"flash"}),
    ("provider", pick, "infobip:acme", {"refused"}),
    ("country", fill, "US", {"unknown"}),
    ("charge__exact", pick, "Returned", {"refused"}),
    ("credits", fill, "3", {"flash"}),
]


@pytest.mark.parametrize(("name", "choosing", "words", "found"), FILTERS)
def test_each_filter_is_chosen_and_finds_its_messages(
    window: NewWindow,
    house: House,
    rows: Rows,
    name: str,
    choosing: Any,
    words: str,
    found: set[str],
) -> None:
    audit = window(house.ana)
    audit.open(LIST)
    shown(audit, rows, set(rows))
    yesterday = timezone.localdate() - timedelta(days=1)

    audit.open_filters()
    choosing(audit, name, words.format(**rows, yesterday=yesterday))
    audit.button("Apply Filters").click()

    audit.page.wait_for_url(lambda url: "?" in url)
    shown(audit, rows, found)
    expect(audit.one("#filtered strong")).to_have_count(1)
    if choosing is pick:
        expect(audit.one("#filtered strong")).to_have_text(words)


def test_the_filters_are_opened_and_filled_by_keyboard(
    window: NewWindow, house: House, rows: Rows
) -> None:
    audit = window(house.ana)
    audit.open(LIST)

    audit.tab_to("[aria-controls=changelist-filter]")
    audit.page.keyboard.press("Enter")
    audit.tab_to("#id_credits")
    audit.page.keyboard.type("3")
    audit.page.keyboard.press("Enter")

    audit.page.wait_for_url(lambda url: "?" in url)
    shown(audit, rows, {"flash"})


def test_no_filter_is_without_its_test(window: NewWindow, house: House, rows: Rows) -> None:
    audit = window(house.ana)
    audit.open(LIST)

    names = audit.one("#filter-form [name]").evaluate_all("fields => fields.map(one => one.name)")

    assert {name for name in names if name} == {name for name, *_ in FILTERS}


def test_a_saved_view_is_one_click_away(window: NewWindow, house: House, rows: Rows) -> None:
    audit = window(house.ana)
    audit.open(LIST)

    for name, found in {"Failed today": {"refused"}, "No report after 24 h": {"silent"}}.items():
        audit.page.get_by_role("link", name=name).click()
        expect(audit.one(".pregon-views [aria-current]")).to_have_text(name)
        shown(audit, rows, found)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("{refused.recipient}", {"refused"}),
        ("{unknown.pk}", {"unknown"}),
        ("SM-a", {"delivered"}),
        ("{flash.broadcast_id}", {"flash"}),
    ],
    ids=["number", "message id", "provider's id", "queue id"],
)
def test_a_message_is_found_by_what_names_it_exactly(
    window: NewWindow, house: House, rows: Rows, words: str, found: set[str]
) -> None:
    audit = window(house.ana)
    audit.open(LIST)

    audit.one("#searchbar").fill(words.format(**rows))
    audit.page.keyboard.press("Enter")

    audit.page.wait_for_url(lambda url: "?" in url)
    shown(audit, rows, found)


def test_what_the_filter_shows_is_taken_along_as_csv(
    window: NewWindow, house: House, rows: Rows
) -> None:
    audit = window(house.ana)
    audit.open(LIST, group="failed")

    with audit.page.expect_download() as coming:
        audit.page.get_by_role("link", name="Export this list as CSV").click()

    with open(coming.value.path(), encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["id"] for line in lines} == {str(rows[name].pk) for name in ("refused", "unknown")}


def test_a_messages_page_tells_its_life_and_the_trail_who_sent_it(
    stack: Stack, window: NewWindow
) -> None:
    house = stack.house(contacts=1)
    audit = window(house.ana)
    audit.write("Hello")
    queue_id = audit.confirm()
    audit.waits_for("COMPLETED")
    expect(audit.one("#count-delivered")).to_be_visible()
    audit.one("#count-delivered").click()

    audit.one("#result_list tbody th a").click()

    life = audit.one(".pregon-life")
    expect(life.locator("li strong").first).to_have_text("Accepted")
    for words in ("Claimed by a worker", "1 credit reserved", "1 credit spent", "Delivered"):
        expect(life).to_contain_text(words)
    life.get_by_text("The provider's words").last.click()
    expect(life.locator("pre").last).to_contain_text("delivered")
    audit.open("accounts_auditentry_changelist", q=str(queue_id))
    expect(audit.one("#result_list tbody tr")).to_have_count(1)
    expect(audit.one("#result_list")).to_contain_text("Broadcast sent")
    audit.one("#result_list tbody th a").click()
    audit.says(house.ana.email)
