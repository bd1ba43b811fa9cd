"""Whatever is clicked twice, kept open, gone back to or grown old: one broadcast, or a page that says why."""

from datetime import timedelta

import time_machine
from django.utils import timezone
from playwright.sync_api import expect

from messaging import estimates
from messaging.admin import previewing
from messaging.audiences import Everyone
from tests.browser.conftest import NewWindow
from tests.browser.test_broadcasting import sent
from tests.faults.harness.stack import Stack

CONFIRM = "form#confirm button[type=submit]"
BEFORE = "This was sent before, and not a second time."


def test_two_fast_clicks_and_the_back_button_send_once(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=2)
    ana = window(house.ana)
    ana.write("Hello")
    preview = ana.page.url

    ana.one(CONFIRM).dblclick()
    queue_id = ana.broadcast()
    for once_more in (ana.page.go_back, lambda: ana.page.goto(preview)):
        once_more()
        assert ana.broadcast() == queue_id
        ana.says(BEFORE)
    assert sent(stack, house) == 1


def test_a_preview_left_open_in_another_tab_sends_nothing_more(
    stack: Stack, window: NewWindow
) -> None:
    house = stack.house(contacts=2)
    ana = window(house.ana)
    ana.write("Hello")
    other = ana.another_tab()
    other.page.goto(ana.page.url)
    queue_id = ana.confirm()

    assert other.confirm() == queue_id

    other.says(BEFORE)
    assert sent(stack, house) == 1


def test_two_tabs_that_confirm_at_the_same_moment_send_once(
    stack: Stack, window: NewWindow
) -> None:
    house = stack.house(contacts=2)
    ana = window(house.ana)
    ana.write("Hello")
    other = ana.another_tab()
    other.page.goto(ana.page.url)

    for tab in (ana, other):
        tab.one(CONFIRM).click(no_wait_after=True)

    assert ana.broadcast() == other.broadcast()
    assert sent(stack, house) == 1


def test_an_audience_that_changed_is_shown_anew_before_it_is_sent(
    stack: Stack, window: NewWindow
) -> None:
    house = stack.house(contacts=2)
    ana = window(house.ana)
    ana.write("Hello")
    house.add_contacts(1)

    ana.one(CONFIRM).click()

    ana.says("Whom the message goes to has changed since.")
    expect(ana.one("#facts-recipients")).to_have_text("3")
    assert sent(stack, house) == 0
    ana.confirm()
    assert sent(stack, house) == 1


def test_a_page_older_than_half_an_hour_is_shown_anew(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=2)
    ana = window(house.ana)
    ana.write("Hello")
    with stack.django(), time_machine.travel(timezone.now() - timedelta(minutes=31)):
        estimate = estimates.estimate(
            member=house.ana, audience=Everyone(), text="Hello", kind="SMS", country=""
        )
        old = previewing._sealed(estimate)

    ana.one("input[name=confirmation]").evaluate("(field, old) => { field.value = old }", old)
    ana.one(CONFIRM).click()

    ana.says("older than 30 minutes")
    assert sent(stack, house) == 0
