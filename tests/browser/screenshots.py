"""The pictures of the documents, by `make screenshots`: an organization that looks like one.

Not a test of anything: run by its name alone, so that no change of a page changes pictures by itself.
"""

import re
from pathlib import Path
from typing import Final

from playwright.sync_api import expect

from tests.browser import showcase
from tests.browser.conftest import NewWindow
from tests.browser.windows import NARROW, Window
from tests.faults.harness.basis import ROOT
from tests.faults.harness.stack import Stack

FOLDER: Final[Path] = ROOT / "docs" / "screens"
TEXT: Final = "Storm tonight: the library closes at 5 pm. Bring your books back tomorrow, no fines."


def test_the_pictures_are_taken(stack: Stack, window: NewWindow) -> None:
    house, sara = showcase.library(stack)
    FOLDER.mkdir(exist_ok=True)
    ana = window(house.ana, reduced_motion="reduce")

    ana.open("messaging_broadcast_compose")
    ana.one("#id_text").fill(
        "Storm tonight: the library closes at “five”. Bring books back tomorrow 🌧"
    )
    expect(ana.one("[data-desk=credits]")).not_to_have_text("0")
    take(ana, "compose")
    ana.one("#id_text").fill(TEXT)
    ana.look()
    take(ana, "preview", height=1060)
    ana.one("#typed").fill(ana.one("#facts-recipients").inner_text())
    ana.confirm()
    expect(ana.one("#broadcast-live")).to_have_attribute("data-percent", re.compile("^[4-6].$"))
    ana.one("#broadcast-course svg").wait_for()
    take(ana, "progress", height=900)
    narrow = window(sara, viewport=NARROW, reduced_motion="reduce")
    narrow.page.goto(ana.page.url)
    narrow.one("#broadcast-course svg").wait_for()
    take(narrow, "narrow", height=844)
    ana.waits_for("COMPLETED_WITH_FAILURES")
    ana.open("index")
    take(ana, "start", height=1060)
    ana.switch_theme("dark")
    take(ana, "start-dark", height=1060)
    ana.switch_theme("light")
    ana.open("messaging_message_changelist", reason="21211")
    take(ana, "messages", height=720)
    ana.open_filters()
    # A blurred ground takes twice the bytes of the page itself.
    ana.one("#changelist-filter").evaluate(
        "sheet => { for (let one = sheet; one; one = one.parentElement) one.style.backdropFilter = 'none' }"
    )
    take(ana, "filters", height=790)
    ana.open("messaging_message_changelist", group="failed")
    ana.one("#result_list tbody th a").first.click()
    ana.one(".pregon-life").scroll_into_view_if_needed()
    take(ana, "life", height=1000)
    ana.open("accounts_auditentry_changelist")
    take(ana, "trail", height=640)


def take(window: Window, name: str, *, height: int = 800) -> None:
    """Keep what the window shows, once everything is there."""
    width = (window.page.viewport_size or NARROW)["width"]
    window.page.set_viewport_size({"width": width, "height": height})
    window.page.wait_for_load_state("networkidle") if name not in {"progress", "narrow"} else None
    window.page.evaluate("document.fonts.ready")
    window.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")
