"""The API's lists."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.doors.pagination import Pages
from accounts.models import AuditEntry

pytestmark = pytest.mark.django_db


def fill(count: int) -> None:
    """Write so many rows, of which every three are born at the same moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_auditentry (act, subject, details, created_at) "
            "SELECT 'filled', n::text, '{}', timestamptz '2026-01-01' + (n / 3) * interval '1 second' "
            "FROM generate_series(1, %s) n",
            [count],
        )


def ask(**query: Any) -> tuple[list[int], dict[str, Any]]:
    pages = Pages()
    request = Request(APIRequestFactory().get("/", query))
    rows = pages.paginate_queryset(AuditEntry.objects.filter(act="filled"), request)
    return [int(row.subject) for row in rows], pages.wrap([])


def test_the_first_page_has_the_newest_twenty() -> None:
    fill(45)

    rows, body = ask()

    assert len(rows) == 20
    assert [row // 3 for row in rows] == sorted((row // 3 for row in rows), reverse=True)
    assert body["meta"] == {
        "currentPage": 1,
        "limit": 20,
        "totalPages": 3,
        "totalRecords": 45,
        "hasNextPage": True,
        "hasPreviousPage": False,
        "estimated": False,
        "next": body["meta"]["next"],
    }
    assert body["pagination"] == {
        "currentPage": 1,
        "totalPages": 3,
        "totalItems": 45,
        "itemsPerPage": 20,
        "hasNextPage": True,
        "hasPreviousPage": False,
    }


def test_pages_by_number_show_every_row_once() -> None:
    fill(45)

    rows = [row for page in (1, 2, 3) for row in ask(page=page)[0]]

    assert sorted(rows) == list(range(1, 46))


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_the_cursor_shows_every_row_once(limit: int) -> None:
    fill(45)
    rows, body = ask(limit=limit)

    while body["meta"]["next"] and len(rows) <= 45:
        more, body = ask(limit=limit, after=body["meta"]["next"])
        rows += more

    assert sorted(rows) == list(range(1, 46))
    assert len(rows) == 45
    assert body["meta"]["hasNextPage"] is False
    assert body["meta"]["currentPage"] == -(-45 // limit)


def test_the_cursor_and_the_number_show_the_same_page() -> None:
    fill(45)
    _rows, first = ask(limit=10)

    by_cursor, told = ask(limit=10, after=first["meta"]["next"], page=1)
    by_number, _body = ask(limit=10, page=2)

    assert by_cursor == by_number
    assert told["meta"]["currentPage"] == 2
    assert told["meta"]["hasPreviousPage"] is True


def test_rows_that_come_meanwhile_do_not_shift_the_cursor() -> None:
    fill(30)
    first_rows, first = ask(limit=10)
    AuditEntry.objects.create(act="filled", subject="99")

    rows, _body = ask(limit=10, after=first["meta"]["next"])

    assert not set(rows) & set(first_rows)
    assert 99 not in rows


def test_a_page_past_the_end_is_empty() -> None:
    fill(5)

    rows, body = ask(page=7)

    assert rows == []
    assert (body["meta"]["totalRecords"], body["meta"]["hasPreviousPage"]) == (5, True)


def test_no_rows_are_no_pages() -> None:
    rows, body = ask()

    assert rows == []
    assert (body["meta"]["totalPages"], body["meta"]["next"]) == (0, None)


@pytest.mark.parametrize(
    "query",
    [
        {"page": value}
        for value in ("0", "-1", "1.5", "x", "", " 1", "1e3", "٣", "9" * 30, "9223372036854775808")
    ]
    + [
        {"limit": value}
        for value in ("0", "101", "-5", "all", "", "9223372036854775808", "1_0", "+5")
    ]
    + [
        {"after": value}
        for value in (
            "",
            "x",
            "\x00",
            "é",
            "AAAA",
            "a" * 300,
            "MS4yLjM",
            "MC4wLjAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw",
            "MS45OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA",
        )
    ],
)
def test_what_names_no_page_is_400(query: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refusal:
        ask(**query)

    assert set(refusal.value.detail) == set(query)


def test_totals_are_exact_up_to_ten_thousand() -> None:
    fill(10_000)

    _rows, body = ask()

    assert (body["meta"]["totalRecords"], body["meta"]["estimated"]) == (10_000, False)


def test_totals_above_are_the_planners_estimate() -> None:
    fill(12_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_auditentry")

    with CaptureQueriesContext(connection) as captured:
        _rows, body = ask()

    assert body["meta"]["estimated"] is True
    assert 10_000 < body["meta"]["totalRecords"] < 15_000
    assert any(query["sql"].startswith("EXPLAIN") for query in captured.captured_queries)


def test_pages_by_number_end_at_row_ten_thousand() -> None:
    fill(10_150)

    rows, body = ask(page=100, limit=100)
    with pytest.raises(ValidationError, match=r"meta\.next"):
        ask(page=101, limit=100)
    further, _body = ask(limit=100, after=body["meta"]["next"])

    assert len(rows) == len(further) == 100
    assert not set(rows) & set(further)


def test_a_page_by_cursor_is_read_from_an_index() -> None:
    fill(3_000)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("CREATE INDEX ON accounts_auditentry (created_at, id)")
        cursor.execute("ANALYZE accounts_auditentry")
    _rows, body = ask(limit=100)

    with CaptureQueriesContext(connection) as captured:
        ask(limit=100, after=body["meta"]["next"])

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured.captured_queries[0]['sql']}")
        plan = str(cursor.fetchall())
    assert "Index Scan Backward" in plan
    assert "Index Cond" in plan
