"""axe-core in a page: what it finds against those who see, hear or move in another way."""

from importlib.resources import files
from typing import Final

from playwright.sync_api import Page

_AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
_FINDS: Final = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .flatMap(found => found.nodes.map(node => `${found.id}: ${node.target.join(" ")}`))"""

# What is wider than the window, where it does not scroll within something that is meant to.
_WIDER: Final = """() => document.documentElement.scrollWidth > window.innerWidth
  ? [`${document.documentElement.scrollWidth} px wide`] : []"""


def faults(page: Page) -> list[str]:
    """Return the serious and critical violations of the page as it stands, as `rule: selector`."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_AXE)
    found: list[str] = page.evaluate(_FINDS)
    return found


def overflow(page: Page) -> list[str]:
    """Return how wide the page is, where one must scroll sideways to read it."""
    found: list[str] = page.evaluate(_WIDER)
    return found
