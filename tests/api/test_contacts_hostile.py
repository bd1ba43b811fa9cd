"""RELIABILITY's S36 to S50 at contacts, tags and opt-outs: whatever is sent, 4xx or kept as it is."""

from typing import Any, Final

import pytest
from rest_framework.test import APIClient

from accounts.models import Member
from contacts.models import Contact, Suppression, Tag
from tests.api.refusals import told
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

JSON: Final = "application/json"

# What no field takes, as JSON.
NOT_A_TEXT: Final = ["5", "-1", "1e400", "true", "[]", "[1]", "{}", '{"a": 1}', "9" * 400]
UNSTORABLE: Final = ['"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfffx"']
LONG: Final = ['"' + "x" * 10_000 + '"', '"' + "\N{PILE OF POO}" * 10_000 + '"']

# What a name may be: kept as it was given.
STRANGE: Final = [
    "😀👩‍👩‍👧‍👦",
    "العربية",
    "\u202eevil\u202c",
    "Z\u0335\u0321\u031b\u0301\u0300",
    "'; DROP TABLE contacts_contact; --",
    '"><script>alert(1)</script>',
    "{{7*7}} ${7*7} %s %(x)s {0}",
    "=1+1",
    "\\",
    "a\nb\tc\x07",
    "\u0130\u0131\u017fß",
    "_x0041_",
]

FIELDS: Final = {
    "phone": [*NOT_A_TEXT, "null"],
    "name": NOT_A_TEXT,
    "lastName": NOT_A_TEXT,
    "email": [*NOT_A_TEXT, '"x"', '"@"', '"a@b"', '"a b@example.org"', '"<a@example.org>"'],
    "country": [*NOT_A_TEXT, '"XX"', '"C0"', '"\uff23\uff2f"', '"0"', '"000"', '"+"'],
    "countryCode": [*NOT_A_TEXT, '"0057"', '"\u0665\u0667"', '"5 7"', '"5\uff17"', '"-57"'],
    "status": [*NOT_A_TEXT, "null", '""', '"ACTIVE "', '"activé"', '"\u0131nactive"'],
    "birthDate": [
        *NOT_A_TEXT,
        '""',
        '"0000-00-00"',
        '"1990-05-17T00:00:00Z"',
        '"99999-01-01"',
        '"19900517"',
        '"1990-W20-4"',
        '"\u0661\u0669\u0669\u0660-\u0660\u0665-\u0661\u0667"',
    ],
    "tagIds": ["5", "true", '"x"', "{}", "null", '["x"]', "[1]", "[null]", "[[]]", '["../x"]'],
    "tags": ["5", "true", '"x"', "{}", "null", '["x"]', "[1]", "[[]]", '[{"id": 1}]', "[{}]"],
}


def post(client: APIClient, path: str, body: str) -> Any:
    return client.generic("POST", f"/api/{path}", body, JSON)


@pytest.mark.parametrize("field", FIELDS)
def test_S37_S38_S45_what_no_field_takes_is_400(
    client_of: ClientOf, sara: Member, field: str
) -> None:
    client = client_of(sara)
    rest = "" if field == "phone" else '"phone": "3001234567", '

    for value in [*FIELDS[field], *UNSTORABLE, *LONG]:
        answer = post(client, "contacts", f'{{{rest}"{field}": {value}}}')
        assert told(answer)[0] == 400, (field, value[:80])
    assert not Contact.objects.exists()


@pytest.mark.parametrize("field", ["name", "lastName"])
def test_whatever_people_are_called_is_kept_listed_found_and_exported(
    client_of: ClientOf, sara: Member, field: str
) -> None:
    client = client_of(sara)

    for number, name in enumerate(STRANGE):
        body = {"phone": f"+57300000{number:04}", field: name}
        answer = client.post("/api/contacts", body, format="json")
        assert answer.status_code == 201, name
        assert answer.json()[field] == name
        assert client.get("/api/contacts", {"search": name}).status_code == 200

    listed = client.get("/api/contacts", {"limit": 100}).json()["data"]
    assert [contact[field] for contact in reversed(listed)] == STRANGE
    for kind in ("csv", "xlsx"):
        assert client.get("/api/contacts/export", {"format": kind}).getvalue()


@pytest.mark.parametrize(
    "phone",
    [
        "3001234567;ext=5",
        "3001234567 x12",
        "3001234567;phone-context=+57",
        "tel:+573001234567",
        "+57300123456\uff17\u202e",
        "300²1234567",
        "300 123 4567 / 300 123 4568 / 3",
        "1" * 400,
        "+" * 50,
        "\uff10\uff10\uff10\uff10",
        "3001234567.0",
        "<script>",
        "3.001234567E9",
    ],
)
def test_S49_what_is_half_a_number_is_none(client_of: ClientOf, sara: Member, phone: str) -> None:
    for path, field in (("contacts", "phone"), ("suppressions", "recipient")):
        answer = client_of(sara).post(f"/api/{path}", {field: phone}, format="json")

        assert told(answer) == (400, "2004")
    assert not Contact.objects.exists()
    assert not Suppression.objects.exists()


def test_what_tags_and_opt_outs_do_not_take_is_400(client_of: ClientOf, sara: Member) -> None:
    client = client_of(sara)

    for value in [*NOT_A_TEXT, "null", *UNSTORABLE, *LONG]:
        for path, field in (("tags", "name"), ("suppressions", "recipient")):
            answer = post(client, path, f'{{"{field}": {value}}}')
            assert told(answer)[0] == 400, (field, value[:80])
        for field in ("description", "color"):
            if (field, value) != ("description", "null"):
                answer = post(client, "tags", f'{{"name": "x", "{field}": {value}}}')
                assert told(answer)[0] == 400, (field, value[:80])
    assert not Tag.objects.exists()
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    "path", ["contacts", "contacts/count", "contacts/export", "tags", "suppressions"]
)
@pytest.mark.parametrize(
    "query",
    [
        "search=%00",
        "search=%ff%fe",
        "search=%ED%A0%80",
        "search=" + "x" * 5000,
        "search=%27%3B--",
        "search=%28%28%28%26%7C%21%3A%2A",
        "status=%00&status=ACTIVE",
        "tagIds=" + ",".join(["x"] * 500),
        "tagIds=,,,",
        "tagIds[]=1&tagIds[0]=2",
        "countryCode=%D9%A5%D9%A7",
        "countryCode=" + "9" * 400,
        "recipient=%00",
        "recipient=" + "%2B" * 300,
        "limit=9223372036854775808",
        "page=-1",
        "page=1e3",
        "after=%00",
        "after=" + "A" * 400,
        "after=OTk5OTk5OTk5OTk5OTk5",
        "format=json",
        "format=../../x",
        "ordering=member__password",
        "organization__email=a&deleted_at__isnull=false",
        "&&&=&=",
        "%",
    ],
)
def test_S39_S40_S42_no_address_breaks(
    client_of: ClientOf, vera: Member, path: str, query: str
) -> None:
    answer = client_of(vera).get(f"/api/{path}?{query}")

    assert answer.status_code in {200, 400}
    if answer.status_code == 400:
        told(answer)
    else:
        answer.getvalue()
