"""GET /api/docs: a page that loads nothing from other hosts, under a policy that lets it work."""

import re
from html.parser import HTMLParser
from typing import Any, Final

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

# What loads a thing, and the directive that allows it.
DIRECTIVE: Final = {
    "script": "script-src",
    "img": "img-src",
    "link": "style-src",
    "iframe": "frame-src",
}


class Page(HTMLParser):
    """What a page loads, and what it has inline."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[tuple[str, str]] = []
        self.inline: set[str] = set()
        self._scripts: list[str] = []
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        source = given.get("src") or (given.get("href") if tag == "link" else None)
        if source:
            kind = "img" if "icon" in (given.get("rel") or "") else tag
            self.loaded.append((DIRECTIVE[kind], source))
        elif tag in {"script", "style"}:
            self.inline.add(f"{tag}-src")
            self._open = tag
        if any(name.startswith("on") or name == "style" for name in given):
            self.inline.add("attributes")

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self._scripts.append(data)
        self._open = ""

    @property
    def script(self) -> str:
        return "\n".join(self._scripts)


@pytest.fixture
def answer() -> Any:
    return Client().get("/api/docs")


@pytest.fixture
def page(answer: Any) -> Page:
    return Page(answer.content.decode())


@pytest.fixture
def policy(answer: Any) -> dict[str, set[str]]:
    directives = [part.split() for part in answer["Content-Security-Policy"].split(";")]
    return {name: set(sources) for name, *sources in directives}


def test_anybody_may_read_it(answer: Any) -> None:
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/html")


def test_it_loads_nothing_from_other_hosts(page: Page) -> None:
    assert len(page.loaded) >= 3
    assert [source for _, source in page.loaded if not re.match(r"/(?!/)", source)] == []
    assert re.findall(r"""["'](?:https?:)?//[^"']+""", page.script) == []


def test_everything_it_loads_is_here(page: Page) -> None:
    for _, source in page.loaded:
        found = Client().get(source)
        assert found.status_code == 200, source
        assert len(b"".join(found.streaming_content)) > 100  # type: ignore[attr-defined] # the client's response is lazily typed


def test_its_policy_allows_what_it_needs(page: Page, policy: dict[str, set[str]]) -> None:
    for directive, _ in page.loaded:
        assert "'self'" in policy[directive]
    for directive in page.inline:
        assert "'unsafe-inline'" in policy[directive]
    assert "data:" in policy["img-src"]  # the page's own symbols
    assert "'self'" in policy["connect-src"]  # the schema, and whatever is tried out


def test_its_policy_allows_no_other_host(policy: dict[str, set[str]]) -> None:
    assert policy["default-src"] == {"'none'"}
    assert policy["frame-ancestors"] == {"'none'"}
    allowed = set().union(*policy.values())
    assert allowed == {"'none'", "'self'", "'unsafe-inline'", "data:"}


def test_it_sends_the_schema_to_no_validator(page: Page) -> None:
    assert "StandaloneLayout" not in page.script
    assert '"BaseLayout"' in page.script
    assert "/api/schema" in page.script


@pytest.mark.parametrize(
    "path", ["/api/schema", "/api/auth/me", "/api/messages/sms/all", "/api/nothing", "/api"]
)
def test_everything_else_under_api_has_the_strictest_policy(path: str) -> None:
    policy = Client().get(path)["Content-Security-Policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    "path", ["/api/docs", "/api/schema", "/api/auth/me", "/api/nothing", "/healthz"]
)
def test_S57_the_headers_of_every_answer(path: str) -> None:
    answer = Client().get(path)

    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer


def test_S57_another_site_gets_no_permission() -> None:
    answer = Client().options(
        "/api/messages/sms/all",
        headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
    )

    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
