"""From the text to the last delivery report, as a person does it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewWindow
from tests.browser.windows import Window
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack


def test_a_broadcast_is_written_looked_at_confirmed_and_watched_to_its_end(
    stack: Stack, window: NewWindow
) -> None:
    house = stack.house(contacts=800)  # twenty seconds, so that a slow machine sees some of it
    ana = window(house.ana)
    ana.open("index").locator("#send-to-all a").click()
    ana.one("#id_text").fill("The library stays open until nine tonight.")
    expect(ana.one("[data-desk=credits]")).to_have_text("800")
    ana.look()
    expect(ana.one("#facts-recipients")).to_have_text("800")

    ana.confirm()

    live = ana.one("#broadcast-live")
    expect(live).to_have_attribute("data-percent", re.compile(r"^[1-9]\d?$"))
    ana.waits_for("COMPLETED")
    expect(live).to_have_attribute("data-percent", "100")
    expect(ana.one("#count-delivered")).to_have_text("800")


def test_the_text_is_counted_and_what_costs_more_is_marked_as_one_types(
    stack: Stack, window: NewWindow
) -> None:
    house = stack.house(contacts=3)
    ana = window(house.ana)
    ana.open("messaging_broadcast_compose")
    expect(ana.one("#audience-recipients")).to_have_text("3")

    ana.one("#id_text").press_sequentially("Library " * 21)
    expect(ana.one("[data-desk=characters]")).to_have_text("168")
    expect(ana.one("[data-desk=encoding]")).to_have_text("GSM-7")
    expect(ana.one("[data-desk=segments]")).to_have_text("2")
    expect(ana.one("[data-desk=credits]")).to_have_text("6")
    expect(ana.one("#text-forcing")).to_be_hidden()
    ana.one("#id_text").fill("At “five” 🌧")

    expect(ana.one("[data-desk=encoding]")).to_have_text("UCS-2")
    expect(ana.one("[data-desk=segments]")).to_have_text("1")
    expect(ana.one("[data-desk=credits]")).to_have_text("3")
    expect(ana.one("[data-desk=marked] mark")).to_have_text(["“", "”", "🌧"])


def choose(ana: Window, *, across: bool) -> None:
    """Choose the action for the rows that are ticked, or for all of the filter."""
    if across:
        ana.one("span.question a").click()
    ana.one("select[name=action]").select_option("send_to_selected")
    ana.button("Run").click()


def selected(ana: Window) -> None:
    ana.open("contacts_contact_changelist")
    ana.one("input.action-select").nth(0).check()
    ana.one("input.action-select").nth(2).check()
    choose(ana, across=False)


def filtered(ana: Window) -> None:
    ana.open("contacts_contact_changelist", q="+573")
    ana.one("#action-toggle").check()
    choose(ana, across=True)


def everybody(ana: Window) -> None:
    ana.open("contacts_contact_changelist").get_by_role("link", name="Send to all").click()


@pytest.mark.parametrize(
    ("choosing", "words", "recipients"),
    [
        (selected, "2 contacts that you chose.", 2),
        (filtered, "All contacts of your filter", 60),
        (everybody, "Everybody in your contacts.", 62),
    ],
)
def test_it_goes_to_the_rows_chosen_to_the_whole_filter_or_to_everybody(
    stack: Stack, window: NewWindow, choosing: object, words: str, recipients: int
) -> None:
    house = stack.house(contacts=60)
    for phone in ("+12025550101", "+12025550102"):
        house.add_contact(phone)
    ana = window(house.ana)

    assert callable(choosing)
    choosing(ana)

    expect(ana.one("#choice")).to_have_text(words)
    expect(ana.one("#audience-recipients")).to_have_text(str(recipients))
    ana.one("#id_text").fill("Hello")
    ana.look()
    queue_id = ana.confirm()
    assert house.broadcast(queue_id, "messages_total") == recipients


def test_above_the_organizations_size_the_number_is_typed(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=3, confirm_above=2)
    ana = window(house.ana)
    ana.write("Hello")

    ana.one("#typed").fill("4")
    ana.one("form#confirm button[type=submit]").click()
    expect(ana.one("#mistyped")).to_contain_text("3")
    assert sent(stack, house) == 0
    ana.one("#typed").fill("3")
    ana.confirm()

    assert sent(stack, house) == 1


def test_the_keyboard_is_enough(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=3)
    ana = window(house.ana)
    ana.open("index")

    ana.tab_to("#send-to-all a")
    ana.page.keyboard.press("Enter")
    expect(ana.one("#id_text")).to_be_focused()
    ana.page.keyboard.type("Hello")
    ana.tab_to("#compose button[type=submit]")
    ana.page.keyboard.press("Enter")
    expect(ana.one("form#confirm")).to_be_visible()
    ana.tab_to("form#confirm button[type=submit]")
    ana.page.keyboard.press("Space")

    ana.broadcast()
    assert sent(stack, house) == 1


def sent(stack: Stack, house: House) -> int:
    rows = stack.sql(
        "SELECT count(*) FROM messaging_broadcast WHERE organization_id = %s", house.organization.pk
    )
    return int(rows[0][0])
