"""What every list and every page of reading refuses alike."""

from uuid import UUID

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member
from tests.api.outages import database_away
from tests.api.refusals import nothing_happens, told
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

_ID = UUID(int=1)
LISTS = (
    "/api/messages",
    "/api/messages/queues",
    "/api/credits/ledger",
)
URLS = (
    *LISTS,
    "/api/messages/export",
    "/api/credits",
    "/api/reports/dashboard",
    f"/api/messages/{_ID}",
    f"/api/messages/queues/{_ID}/messages",
    f"/api/messages/queues/{_ID}/skipped",
)


@pytest.mark.parametrize("url", URLS)
def test_who_is_nobody_or_of_no_organization_reads_nothing(
    client_of: ClientOf, anonymous: APIClient, root: Member, url: str
) -> None:
    assert told(anonymous.get(url)) == (401, "1002")
    assert told(client_of(root).get(url)) == (403, "1003")


@pytest.mark.parametrize("url", URLS)
def test_reading_counts_against_the_limit_and_before_the_filters(
    client_of: ClientOf, ana: Member, settings: Settings, url: str
) -> None:
    settings.RATE_LIMIT = "1/min"
    client = client_of(ana)

    client.get(url)

    assert told(client.get(url, {"limit": "x"})) == (429, "4029")


@pytest.mark.parametrize("url", URLS)
def test_another_method_is_405_and_changes_nothing(
    client_of: ClientOf, ana: Member, url: str
) -> None:
    client = client_of(ana)

    with nothing_happens():
        answers = [client.generic(method, url, "{}") for method in ("POST", "DELETE", "PATCH")]

    assert {told(answer) for answer in answers} == {(405, "4040")}


@pytest.mark.parametrize("url", LISTS)
@pytest.mark.parametrize("query", ["limit=101", "page=0", "page=501", "after=x", "limit=%00"])
def test_S39_a_page_that_is_none_is_400(
    client_of: ClientOf, ana: Member, url: str, query: str
) -> None:
    assert told(client_of(ana).get(f"{url}?{query}")) == (400, "4000")


@pytest.mark.parametrize("url", URLS)
def test_B07_a_database_that_is_away_is_503(
    transactional_db: None, client_of: ClientOf, ana: Member, url: str
) -> None:
    client = client_of(ana)

    with database_away():
        answer = client.get(url)

    assert told(answer) == (503, "4090")
