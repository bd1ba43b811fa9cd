"""S16, S19, S36 to S49 as one table over every address that takes something: request → status and code.

Each row is a request of Ana's, an owner with contacts, credits and a thing of each kind. It must be refused
in the one shape and leave no trace in any table. `{tag_id}` stands for hers, `{others.tag_id}` for that of
another organization. Broken JSON at the doors of sign-in and of `/all` is met in `test_hostile_inputs.py`.
"""

import json
from typing import Any, Final

import pytest
from django.test import TestCase

from accounts.models import Member
from tests.api.refusals import told
from tests.people import ClientOf
from tests.security.rows import named, state

pytestmark = pytest.mark.django_db

JSON: Final = "application/json"
ALL, SOME, TAGGED = (f"POST messages/sms/{whom}" for whom in ("all", "contacts", "tags"))
ONE: Final = "messages/queues/{queue_id}"
HUGE, LATE = "9223372036854775808", "9999-12-31T23:59:59-23:59"
SQL, HTML = "'; DROP TABLE contacts_contact; --", "<script>alert(1)</script>"
ARABIC_DAY: Final = "2027-01-01".translate({48 + digit: 0x660 + digit for digit in range(10)})
FORMATS: Final = "%s%n%x{0.__class__}${{7*7}}"

Row = tuple[str, str | None, int, str]


def rows(call: str, code: str, *bodies: str, status: int = 400) -> list[Row]:
    """Return a row of this call for each of these bodies."""
    return [(call, body, status, code) for body in bodies]


def asked(call: str, code: str, *queries: str, status: int = 400) -> list[Row]:
    """Return a row of this call for each of these queries."""
    return [(f"{call}?{query}", None, status, code) for query in queries]


# --- bodies that are no request at all, at the doors that came after `/all` ------------------------
BROKEN: Final = [
    "[" * 100_000,
    '{"x": ' + "[" * 33 + "]" * 33 + "}",
    '{"x": "\\u0000"}',
    '{"x": "\\ud800"}',
    '{"x": 1, "x": 2}',
    '{"x": NaN}',
    '{"x": 1e999}',
    '{"x": ' + "9" * 5_000 + "}",
    "\ufeff{}",
    "[]",
    "null",
    '{"x": 1',
    "name=x",
]
DOORS: Final = [
    *(SOME, TAGGED, "POST contacts", "PATCH contacts/{contact_id}", "POST tags"),
    *("PATCH tags/{tag_id}", "POST suppressions", "POST api-keys", f"PATCH {ONE}"),
]

# --- sending --------------------------------------------------------------------------------------
TABLE: Final[list[Row]] = [
    *(row for door in DOORS for row in rows(door, "4000", *BROKEN)),
    *rows(
        ALL,
        "4000",
        *('{"message": null}', '{"message": 12345}', '{"message": ["Hola"]}', '{"message": {}}'),
        *('{"message": ""}', '{"message": " \\t\\n "}', '{"message": "\\u200b\\u2060\\ufeff"}'),
        *('{"Message": "Hola"}', '{"message": true}', '{"message": "Hola", "type": 1}'),
        *('{"message": "Hola", "country": 57}', '{"message": "Hola", "country": ["CO"]}'),
        *('{"message": "Hola", "confirmToken": 1}', '{"message": "Hola", "scheduledAt": 1}'),
        *(f'{{"message": "Hola", "scheduledAt": "{when}"}}' for when in ("", "x", LATE)),
        *(
            f'{{"message": "Hola", "scheduledAt": "{when}"}}'
            for when in (
                "2020-01-01T00:00:00Z",
                "0001-01-01T00:00:00+23:59",
                "9999-12-31T23:59:59Z",
            )
        ),
        *(
            f'{{"message": "Hola", "scheduledAt": "{when}"}}'
            for when in (
                "2027-02-30T00:00:00Z",
                f"{ARABIC_DAY}T00:00:00Z",
                "2027-01-01",
                "-1",
                "1e9",
            )
        ),
    ),
    *rows(
        ALL,
        "4001",
        *(
            '{"message": "Hola", "type": "MMS"}',
            '{"message": "Hola", "type": "\uff33\uff2d\uff33"}',
        ),
        *(f'{{"message": "Hola", "type": "{SQL}"}}', '{"message": "Hola", "type": "SMS\\u200b"}'),
    ),
    *rows(
        ALL,
        "4002",
        *('{"message": "Hola", "country": "XX"}', '{"message": "Hola", "country": "0"}'),
        *('{"message": "Hola", "country": "\u0665\u0667"}', '{"message": "Hola", "country": "+"}'),
        *(
            f'{{"message": "Hola", "country": "{FORMATS}"}}',
            '{"message": "Hola", "country": "800"}',
        ),
    ),
    *rows(ALL, "4003", json.dumps({"message": "x" * 50_000})),
    *rows(ALL, "4042", json.dumps({"message": "x" * 300_000}), status=413),
    *rows(ALL, "4012", '{"message": "Hola", "confirmToken": "WyI1ZjQ3"}', status=409),
    *rows(
        SOME,
        "4000",
        *('{"message": "Hola"}', '{"message": "Hola", "contacts": null}'),
        *(
            '{"message": "Hola", "contacts": "+573001234567"}',
            '{"message": "Hola", "contacts": {}}',
        ),
        *('{"message": "Hola", "contacts": []}', '{"message": "Hola", "contacts": [573001234567]}'),
        *(
            '{"message": "Hola", "contacts": [null]}',
            '{"message": "Hola", "contacts": [["+57300"]]}',
        ),
        '{"message": "Hola", "contacts": {"0": "+57"}}',
        json.dumps({"message": "Hola", "contacts": ["+573001234567"] * 1_001}),
        json.dumps({"message": "Hola", "contacts": ["3" * 10_000]}),
    ),
    *rows(
        TAGGED,
        "4000",
        *('{"message": "Hola"}', '{"message": "Hola", "tagIds": []}'),
        *('{"message": "Hola", "tagIds": [1]}', '{"message": "Hola", "tagIds": ["x"]}'),
        *('{"message": "Hola", "tagIds": "{tag_id}"}', '{"message": "Hola", "tagIds": [null]}'),
        *('{"message": "Hola", "tagIds": [{}]}', '{"message": "Hola", "tagIds": ["{tag_id}/"]}'),
        f'{{"message": "Hola", "tagIds": ["{SQL}"]}}',
    ),
    *rows(
        TAGGED,
        "1005",
        '{"message": "Hola", "tagIds": ["{others.tag_id}"]}',
        '{"message": "Hola", "tagIds": ["{tag_id}", "{others.tag_id}"]}',
        '{"message": "Hola", "tagIds": ["{contact_id}"]}',
        status=404,
    ),
    *(
        row
        for door in (ALL, SOME, TAGGED)
        for row in asked(door, "4000", "dryRun=2", "dryRun=yes", "dryRun=%00", "dryRun=\u0661")
    ),
    # --- control ----------------------------------------------------------------------------------
    *rows(
        f"PATCH {ONE}",
        "4000",
        *("{}", '{"scheduledAt": null}', '{"scheduledAt": 1}', '{"scheduledAt": "soon"}'),
        f'{{"scheduledAt": "{LATE}"}}',
        '{"scheduledAt": ["2027-01-01T00:00:00Z"]}',
    ),
    *(
        (f"{method} {ONE.replace('{', '{others.')}{verb}", "{}", 404, "1005")
        for method, verb in [
            *(("POST", f"/{verb}") for verb in ("pause", "resume", "cancel", "approve", "reject")),
            *(("POST", "/resend-failed"), ("PATCH", ""), ("GET", ""), ("GET", "/messages")),
            ("GET", "/skipped"),
        ]
    ),
    # --- contacts, tags, opt-outs, keys -----------------------------------------------------------
    *rows(
        "POST contacts",
        "4000",
        *("{}", '{"phone": null}', '{"phone": 3001234567}', '{"phone": ["3001234567"]}'),
        '{"phone": "3001234567", "status": "DELETED"}',
        *(
            '{"phone": "3001234567", "email": "a@b\\r\\nBcc: c@d"}',
            '{"phone": "300", "email": "x"}',
        ),
        *('{"phone": "3001234567", "birthDate": "2999-01-01"}', '{"phone": "3", "birthDate": 0}'),
        *('{"phone": "3001234567", "tagIds": ["x"]}', '{"phone": "3001234567", "tagIds": "x"}'),
        *(f'{{"phone": "3001234567", "status": "{SQL}"}}', '{"phone": "3", "name": {"$ne": 1}}'),
    ),
    *rows(
        "POST contacts",
        "2004",
        *(
            f'{{"phone": "{number}"}}'
            for number in ("", "12", SQL, HTML, FORMATS, "+57300123456x7")
        ),
        *(f'{{"phone": "{number}"}}' for number in ("3001234567;ext=5", "tel:+573001234567")),
    ),
    *rows("POST contacts", "2003", '{"phone": "+573001234567"}', status=409),
    *rows(
        "POST contacts",
        "1005",
        '{"phone": "3007654321", "tagIds": ["{others.tag_id}"]}',
        '{"phone": "3007654321", "tags": [{"id": "{others.tag_id}"}]}',
        status=404,
    ),
    *rows("PATCH contacts/{contact_id}", "1005", '{"tagIds": ["{others.tag_id}"]}', status=404),
    *rows(
        "PATCH contacts/{contact_id}",
        "4000",
        *(
            '{"phone": null}',
            '{"name": 1}',
            '{"status": null}',
            '{"tagIds": [{}]}',
            '{"email": "@"}',
        ),
    ),
    *rows("PATCH contacts/{contact_id}", "2003", '{"phone": "300 123 4568"}', status=409),
    *(
        (f"{method} contacts/{{others.contact_id}}", '{"name": "x"}', 404, "2000")
        for method in ("GET", "PATCH", "DELETE")
    ),
    *rows(
        "POST tags",
        "4000",
        *(
            "{}",
            '{"name": null}',
            '{"name": ""}',
            '{"name": " "}',
            '{"name": 1}',
            '{"name": ["x"]}',
        ),
        *('{"name": "friends"}', '{"name": "x", "color": "red"}', '{"name": "x", "color": 7}'),
        *(f'{{"name": "x", "color": "{HTML}"}}', '{"name": "x", "color": "#\u0667c3aed"}'),
        *('{"name": "x", "description": []}', json.dumps({"name": "x" * 101})),
    ),
    *(
        (f"{method} tags/{{others.tag_id}}", '{"name": "x"}', 404, "1005")
        for method in ("GET", "PATCH", "DELETE")
    ),
    *rows(
        "POST suppressions",
        "4000",
        *("{}", '{"recipient": null}', '{"recipient": 573001234567}', '{"recipient": []}'),
    ),
    *rows(
        "POST suppressions",
        "2004",
        *(f'{{"recipient": "{number}"}}' for number in ("x", "*", "%", SQL, "+57300123456;ext=1")),
    ),
    *asked("DELETE suppressions", "1005", "recipient=%2B12025550199", status=404),
    *asked("DELETE suppressions", "4000", "", "recipient=", "recipient=%00"),
    ("DELETE suppressions/{others.suppression_id}", None, 404, "1005"),
    *rows("POST api-keys", "4000", "{}", '{"name": null}', '{"name": 1}', '{"name": " "}'),
    *rows("POST api-keys", "4000", json.dumps({"name": "x" * 500}), '{"name": "a\\u0000"}'),
    ("DELETE api-keys/{others.key_id}", None, 404, "1005"),
    # --- what is asked for ------------------------------------------------------------------------
    *(
        row
        for lists in ("messages", "messages/queues", "contacts", "tags", "suppressions", "api-keys")
        for row in asked(
            f"GET {lists}",
            "4000",
            *(
                f"limit={HUGE}",
                "limit=101",
                "limit=0",
                "limit=-1",
                "limit=1.0",
                "limit=\u0662\u0660",
            ),
            *(f"page={HUGE}", "page=0", "page=-1", "page=x", "page=1e3", "page=%00"),
            *(
                "page=",
                "limit=",
                "after=",
                "after=%00",
                "after=x",
                "after=2026-01-01",
                f"after={LATE}",
                "after=" + "A" * 9_000,
            ),
        )
    ),
    *asked("GET messages", "4000", "page=501", "page=101&limit=100"),
    *(
        row
        for lists in ("messages", "messages/export", "messages/queues", "credits/ledger")
        for row in asked(
            f"GET {lists}",
            "4000",
            *(f"startDate={LATE}", "endDate=0000-00-00", "startDate=x", "endDate=2026-02-30"),
            *(f"startDate={ARABIC_DAY}", "endDate=1e9", "startDate=2026-01-01T25:00:00Z"),
        )
    ),
    *asked(
        "GET messages",
        "4000",
        *("status=x", f"status={SQL}", "type=MMS", "messageType=1", "queueId=x", "queueId=1"),
        *("contactId={}", "contactId=%7B%7D", "queueId=" + "0" * 40, "recipient=%00"),
    ),
    *asked("GET messages/queues", "4000", "status=x", "member=1", "member=x", "member=%ff"),
    *asked(
        "GET contacts", "4000", "status=x", "tagIds=x", "tagIds=1,2", "origin=x", f"origin={SQL}"
    ),
    *asked("GET contacts/export", "4000", "format=pdf", "status=x", "tagIds=x"),
    *asked("GET contacts/count", "4000", "status=x", "tagIds=%7B%7D", "origin=*"),
    *asked("GET suppressions", "4000", "source=x", f"source={HTML}"),
    ("GET messages/{others.message_id}", None, 404, "1005"),
    ("GET organizations/{others.organization_id}", None, 404, "1005"),
    (
        "POST organizations/{others.organization_id}/accept-terms",
        '{"termsVersion": "x"}',
        404,
        "1005",
    ),
    ("GET contacts/import/{others.job_id}/status", None, 404, "1005"),
    ("GET contacts/import/{others.job_id}/errors", None, 404, "1005"),
    # --- files ------------------------------------------------------------------------------------
    *rows("POST contacts/import", "4041", "{}", status=415),
    *rows("POST contacts/import/preview", "4041", "{}", status=415),
]


def test_the_table_is_long_enough() -> None:
    by_hand = [row for row in TABLE if row[1] not in BROKEN]

    assert len(by_hand) >= 150
    assert len({row[:2] for row in TABLE}) == len(TABLE)


def test_S36_to_S49_each_row_is_refused_as_it_says_and_leaves_no_trace(
    client_of: ClientOf, ana: Member, names: dict[str, str]
) -> None:
    client = client_of(ana)
    wrong, before = [], state()
    for call, body, *expected in TABLE:
        method, address = named(call, names).split(" ", 1)
        given = named(body or "", names).encode("utf-8", "surrogatepass")
        with TestCase.captureOnCommitCallbacks() as wakes:
            answer: Any = client.generic(method, f"/api/{address}", given, JSON)  # type: ignore[arg-type]  # takes bytes too
        found = list(told(answer)) if answer.status_code >= 400 else [answer.status_code, ""]
        left = state() != before or wakes
        if found != expected or left:
            wrong.append((call[:100], (body or "")[:100], found, expected, left and "A TRACE"))
            before = state()

    assert "\n".join(map(str, wrong)) == ""
