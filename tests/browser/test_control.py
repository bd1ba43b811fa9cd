"""What is done to a broadcast under way: each deed has a page that says what comes of it, and one POST."""

from uuid import UUID

from playwright.sync_api import expect

from accounts.roles import Role
from tests.browser.conftest import NewWindow
from tests.browser.test_broadcasting import sent
from tests.browser.windows import Window
from tests.faults.harness.stack import Stack

LONG = 3000  # contacts; more than a minute at the pace of these tests


def do(ana: Window, deed: str, *consequences: str) -> None:
    """Go to the deed's page, read what comes of it, and do it."""
    ana.one(f"#deed-{deed}").click()
    for consequence in consequences:
        expect(ana.one("#consequences")).to_contain_text(consequence)
    submit(ana)


def submit(ana: Window) -> None:
    ana.one("form#control button[type=submit]").click()


def test_a_broadcast_is_paused_resumed_and_canceled(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=LONG)
    ana = window(house.ana)
    ana.open("messaging_broadcast_compose")
    ana.write("Hello")
    ana.one("#typed").fill(str(LONG))
    queue_id = ana.confirm()

    do(ana, "pause", "not handed over until", "credits stay reserved")
    ana.waits_for("PAUSED")
    do(ana, "resume", "Paused by an operator", "messages go out")
    ana.waits_for("RUNNING")
    do(ana, "cancel", "messages are never sent", "cannot be resumed")
    ana.waits_for("CANCELED")

    expect(ana.one("#deed-resume")).to_have_count(0)
    expect(ana.one("#happenings")).to_contain_text("canceled")
    acts = [each.lower() for each in ana.one("#happenings strong").all_inner_texts()]
    assert acts == [f"broadcast {deed}" for deed in ("sent", "paused", "resumed", "canceled")]
    assert house.broadcast(queue_id) == "CANCELED"


def test_a_deed_that_is_not_possible_any_more_says_so(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=1)
    ana = window(house.ana)
    ana.write("Hello")
    queue_id = ana.confirm()
    ana.waits_for("COMPLETED")
    ana.expected.add(409)

    ana.open("messaging_broadcast_control", queue_id, "cancel")

    expect(ana.one("#cannot")).to_contain_text("this cannot be done to it now")
    expect(ana.one("form#control")).to_have_count(0)


def test_what_failed_is_sent_once_more_and_once_only(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=2)
    for magic in ("+17015550101", "+19075550102"):  # undelivered; refused
        house.add_contact(magic)
    ana = window(house.ana)
    ana.write("Hello")
    first = ana.confirm()
    ana.waits_for("COMPLETED_WITH_FAILURES")
    expect(ana.one("#count-undelivered")).to_have_text("1")

    do(ana, "resend-failed")
    second = ana.other_broadcast(first)

    ana.waits_for("COMPLETED_WITH_FAILURES")
    assert house.broadcast(second, "messages_total") == 2
    ana.one("#resends").click()
    expect(ana.one("#resent-failed")).to_be_visible()
    expect(ana.one("#deed-resend-failed")).to_have_count(0)
    assert sent(stack, house) == 2


def test_what_is_unknown_is_sent_once_more_after_a_second_question(
    stack: Stack, window: NewWindow
) -> None:
    house = stack.house(contacts=1)
    house.add_contact("+18025550101")  # the carrier broke down, and has not taken it
    ana = window(house.ana)
    ana.write("Hello")
    first = ana.confirm()
    ana.waits_for("COMPLETED_WITH_FAILURES")
    expect(ana.one("#count-unknown")).to_have_text("1")

    do(ana, "resend-unknown")
    ana.says("Are you sure? Some people may get this twice.")
    assert sent(stack, house) == 1
    submit(ana)

    second = ana.other_broadcast(first)
    assert house.broadcast(second, "messages_total") == 1


def waiting_for_approval(ana: Window) -> UUID:
    ana.write("Hello")
    expect(ana.one("#needs-approval")).to_be_visible()
    queue_id = ana.confirm()
    ana.waits_for("PAUSED")
    ana.says("Waits for approval")
    expect(ana.one("#deed-approve")).to_have_count(0)
    return queue_id


def test_a_second_member_sees_the_same_and_approves(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=3, approval_above=2)
    ana, bea = window(house.ana), window(house.add_member(Role.OWNER))
    queue_id = waiting_for_approval(ana)
    bea.open("messaging_broadcast_change", queue_id)
    expect(bea.one("#facts-recipients")).to_have_text("3")

    do(bea, "approve", "3 messages go out")

    bea.waits_for("COMPLETED")
    ana.waits_for("COMPLETED")  # on the page that stood open all the time
    expect(ana.one("#count-delivered")).to_have_text("3")


def test_a_second_member_rejects(stack: Stack, window: NewWindow) -> None:
    house = stack.house(contacts=3, approval_above=2)
    ana, bea = window(house.ana), window(house.add_member(Role.OWNER))
    queue_id = waiting_for_approval(ana)
    bea.open("messaging_broadcast_change", queue_id)

    do(bea, "reject")

    bea.says("Rejected. Nothing of it is sent.")
    ana.waits_for("CANCELED")
    expect(ana.one("#count-canceled")).to_have_text("3")
