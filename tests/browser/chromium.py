"""Chromium of this machine, told to speak to nobody but the pages of the test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, expect, sync_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
MISSING: Final = "Chromium is missing. On Debian and Ubuntu: apt-get install chromium"

PATIENCE: Final = 90_000  # milliseconds; a good machine needs a few hundred

_QUIET: Final = (
    "--no-sandbox",  # which root may not have; the pages are ours
    "--no-proxy-server",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # small in a container
    "--force-color-profile=srgb",
)


def program() -> str | None:
    """Return where Chromium is, if it is."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def running() -> Iterator[Browser]:
    """Run it without a window, on a profile that is thrown away."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(_QUIET))
        yield browser
        browser.close()
