"""Each page of the desk: for everybody, wide and narrow, light and dark, in English and Spanish."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import pytest
from playwright.sync_api import expect

from messaging.models import Message
from tests.browser import accessibility
from tests.browser.conftest import NewWindow
from tests.browser.windows import NARROW, WIDE, Window
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until

TEXT: Final = "The library is closed on Monday."
REASONS: Final = ("the number is not valid", "the phone is off")  # kept as they were read


@dataclass
class World:
    """What there is to see: a broadcast that ended, one that waits for approval, a contact."""

    house: House
    ended: UUID
    waiting: UUID
    message: UUID
    entry: UUID


@pytest.fixture(scope="module")
def world(stack: Stack) -> World:
    house = stack.house(contacts=12, confirm_above=2)
    for phone in ("+17015550101", "+19075550102", "+18025550103", "123"):
        house.add_contact(phone)
    ended = house.send(TEXT)
    with stack.django():
        house.organization.approval_above = 2
        house.organization.save()
        message = until(
            Message.objects.filter(broadcast=ended, error_code="30003").first, 60, "it is reported"
        )
    waiting = house.send(f"{TEXT} Again.")
    entry = stack.sql(
        "SELECT id FROM accounts_auditentry WHERE subject = %s", f"broadcast:{waiting}"
    )[0][0]
    assert message is not None
    return World(house, ended, waiting, message.pk, entry)


def compose(window: Window, world: World) -> None:
    window.open("messaging_broadcast_compose")
    window.one("#id_text").fill(f"{TEXT} “Sorry”")
    expect(window.one("#audience-recipients")).to_be_visible()


def preview(window: Window, world: World) -> None:
    window.open("messaging_broadcast_compose")
    window.one("#id_text").fill(TEXT)
    window.one("#compose button[type=submit]").click()
    expect(window.one("#typed")).to_be_visible()


def broadcast(window: Window, world: World) -> None:
    window.open("messaging_broadcast_change", world.ended)
    expect(window.one("#failures")).to_be_visible()


def awaiting(window: Window, world: World) -> None:
    window.open("messaging_broadcast_change", world.waiting)
    expect(window.one("#facts-recipients")).to_be_visible()


def resending(window: Window, world: World) -> None:
    window.open("messaging_broadcast_control", world.ended, "resend-unknown")
    expect(window.one("form#control")).to_be_visible()


def refused(window: Window, world: World) -> None:
    window.expected.add(409)
    window.open("messaging_broadcast_control", world.ended, "cancel")
    expect(window.one("#cannot")).to_be_visible()


def filters(window: Window, world: World) -> None:
    window.open("messaging_message_changelist")
    window.open_filters()


def life(window: Window, world: World) -> None:
    window.open("messaging_message_change", world.message)
    window.one(".pregon-life summary").last.click()


def entry(window: Window, world: World) -> None:
    window.open("accounts_auditentry_change", world.entry)


def page_of(name: str, **query: str) -> Callable[[Window, World], None]:
    return lambda window, _world: (window.open(name, **query), None)[1]


PAGES: Final[dict[str, Callable[[Window, World], None]]] = {
    "start": page_of("index"),
    "compose": compose,
    "preview": preview,
    "broadcast": broadcast,
    "awaiting": awaiting,
    "resending": resending,
    "refused": refused,
    "broadcasts": page_of("messaging_broadcast_changelist"),
    "messages": page_of("messaging_message_changelist"),
    "filtered": page_of("messaging_message_changelist", status__exact="UNKNOWN"),
    "filters": filters,
    "life": life,
    "skips": page_of("messaging_skip_changelist"),
    "reports": page_of("messaging_deliveryreport_changelist"),
    "contacts": page_of("contacts_contact_changelist"),
    "trail": page_of("accounts_auditentry_changelist"),
    "entry": entry,
    "terms": page_of("current_terms"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody_wide_and_narrow_light_and_dark(
    window: NewWindow, world: World, name: str
) -> None:
    one = window(world.house.ana, reduced_motion="reduce")
    PAGES[name](one, world)
    one.page.wait_for_load_state("networkidle")
    found: dict[str, list[str]] = {}

    for size, scheme in ((WIDE, "light"), (NARROW, "dark")):
        one.page.set_viewport_size(size)
        one.switch_theme(scheme)
        found[f"{size['width']} {scheme}"] = accessibility.faults(one.page)
    found["overflow"] = accessibility.overflow(one.page)

    assert {where: faults for where, faults in found.items() if faults} == {}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_speaks_spanish_to_who_asks_for_it(
    stack: Stack, window: NewWindow, world: World, name: str
) -> None:
    read: dict[str, set[str]] = {}
    for language in ("en-US", "es-CO"):
        one = window(world.house.ana, locale=language)
        # The words of the page objects are English: what is opened is opened by ids alone.
        PAGES[name](one, world)
        one.page.wait_for_load_state("networkidle")
        assert one.one("html").get_attribute("lang") == language[:2]
        read[language] = set(one.one("body").inner_text().splitlines())

    same = {line.strip() for line in read["en-US"] & read["es-CO"]}

    kept = (TEXT, stack.terms.title, stack.terms.body, *REASONS)
    assert {
        line for line in same if _SENTENCE.search(line) and not any(one in line for one in kept)
    } == set()


_SENTENCE: Final = re.compile(r"[a-z]{2,} [a-z]{2,}")


def test_on_a_narrow_screen_a_broadcast_is_written_confirmed_and_stopped(
    stack: Stack, window: NewWindow
) -> None:
    house = stack.house(contacts=1_000)
    ana = window(house.ana, viewport=NARROW, has_touch=True)
    ana.open("index")

    ana.one("#send-to-all a").tap()
    ana.one("#id_text").fill("Hello")
    ana.one("#compose button[type=submit]").tap()
    ana.one("form#confirm button[type=submit]").tap()
    ana.broadcast()
    ana.one("#deed-cancel").tap()
    ana.one("form#control button[type=submit]").tap()

    ana.waits_for("CANCELED")
