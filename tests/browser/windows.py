"""A member's browser window. What goes wrong in it unseen is kept: errors, refusals, strangers' hosts."""

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.test import Client
from django.urls import reverse
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    ViewportSize,
    expect,
)

from tests.browser.chromium import PATIENCE

if TYPE_CHECKING:
    from accounts.models import Member
    from tests.faults.harness.stack import Stack

WIDE: Final[ViewportSize] = {"width": 1280, "height": 800}
NARROW: Final[ViewportSize] = {"width": 390, "height": 844}

_MOST_TABS: Final = 80

# What a page asked for and left behind when it was left.
_LEFT: Final = "net::ERR_ABORTED"


class Window:
    """One window. `page` is Playwright's; `faults` must be empty in the end."""

    def __init__(
        self, stack: Stack, browser: Browser, member: Member | None, **options: Any
    ) -> None:
        self.root = f"http://127.0.0.1:{stack.port}"
        self.faults: list[str] = []
        self.expected: set[int] = set()  # statuses of pages that refuse, as the test means them to
        options = {"viewport": WIDE, "locale": "en-US", "timezone_id": "UTC", **options}
        self.context = browser.new_context(base_url=self.root, **options)
        self.context.set_default_timeout(PATIENCE)
        if member is not None:
            self._sign_in(stack, member)
        self.page = self._watched(self.context.new_page())

    def _sign_in(self, stack: Stack, member: Member) -> None:
        client = Client()
        with stack.django():
            client.force_login(member)
        session = {"name": "sessionid", "value": client.cookies["sessionid"].value}
        self.context.add_cookies([{**session, "url": self.root}])  # type: ignore[typeddict-item] # three fields are enough

    # --- what goes wrong unseen -------------------------------------------------------------------

    def _watched(self, page: Page) -> Page:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", self._asked)
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        is_refusal = message.text.startswith("Failed to load resource") and self.expected
        if message.type in {"error", "warning"} and not is_refusal:
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.root}/", "data:", "blob:")):
            self.faults.append(f"another host: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != _LEFT:
            self.faults.append(f"request: {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.faults.append(f"answer: {response.status} {response.url}")

    # --- going about ------------------------------------------------------------------------------

    def open(self, name: str, *args: Any, **query: Any) -> Page:
        """Open a page of the admin by the name of its address."""
        found = reverse(f"admin:{name}", args=args)
        self.page.goto(f"{found}?{urlencode(query)}" if query else found)
        return self.page

    def one(self, selector: str, **options: Any) -> Locator:
        return self.page.locator(selector, **options)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def says(self, text: str) -> None:
        """Wait until the page says this."""
        expect(self.one("#main")).to_contain_text(text)

    def open_filters(self) -> None:
        self.one("text=filter_list").first.click()
        expect(self.one("#filter-form")).to_be_visible()

    def switch_theme(self, theme: str) -> None:
        """Switch to light or dark as the menu of the page does."""
        self.page.evaluate("to => Alpine.$data(document.documentElement).switchTheme(to)", theme)
        expect(self.one("html")).to_have_class(re.compile(rf"\b{theme}\b"))

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    # --- broadcasting -----------------------------------------------------------------------------

    def write(self, text: str, **query: Any) -> None:
        """Write a broadcast on the compose page, and go on to its preview."""
        self.open("messaging_broadcast_compose", **query)
        self.one("#id_text").fill(text)
        self.look()

    def look(self) -> None:
        """Go from the compose page to the preview."""
        self.button("Look at it before it leaves").click()
        expect(self.one("form#confirm")).to_be_visible()

    def confirm(self) -> UUID:
        """Press the preview's button; return the queue id of the page that comes."""
        self.one("form#confirm button[type=submit]").click()
        return self.broadcast()

    def broadcast(self) -> UUID:
        """Wait for a broadcast's page; return its queue id."""
        expect(self.one("#broadcast-live")).to_be_visible()
        return UUID(self.path.split("/")[-3])

    def other_broadcast(self, first: UUID) -> UUID:
        """Wait for the page of another broadcast than this one; return its queue id."""
        self.page.wait_for_url(lambda url: "/change/" in url and str(first) not in url)
        return self.broadcast()

    def waits_for(self, status: str) -> None:
        """Wait until the broadcast's page shows this status, by itself."""
        expect(self.one("#broadcast-live")).to_have_attribute("data-status", status)

    # --- by keyboard ------------------------------------------------------------------------------

    def tab_to(self, selector: str) -> None:
        """Press the tab key until this is focused, as somebody without a mouse does."""
        wanted = self.one(selector)
        for _press in range(_MOST_TABS):
            if wanted.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {selector}")

    def another_tab(self) -> Window:
        """Open another tab of the same member; its faults are this window's."""
        tab = copy(self)
        tab.page = tab._watched(self.context.new_page())
        return tab

    def close(self) -> None:
        self.context.close()
