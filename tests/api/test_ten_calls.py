"""docs/api.md: every call it shows is answered as it stands there, and it knows every address."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member
from config import demo
from messaging.models import Broadcast
from tests.house import source
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

PAGE: Final = source.text("docs/api.md")
CALLS: Final = re.findall(r"```sh\n(curl .*?)```", PAGE, flags=re.DOTALL)
PEOPLE: Final = b"Nombre;Celular\nAna;300 555 4321\n"
# Of a dry run's answer: another one each time, or shortened on the page.
EACH_TIME: Final = {"sampleRecipients", "etaSeconds", "confirmToken", "sentLately"}

# What `curl` is told, in the few ways in which the page tells it.
ADDRESS: Final = re.compile(r"\"?http://127\.0\.0\.1:8000(/[^\s\"]*)\"?")
HEADER: Final = re.compile(r"-H ['\"]([\w-]+): ([^'\"]*)['\"]")
BODY: Final = re.compile(r"-d '(.*?)'", re.DOTALL)
FORM: Final = re.compile(r"-F (?:'(\w+)=(.*?)'|(\w+)=(\S+))")
METHOD: Final = re.compile(r"-X ([A-Z]+)")
UNDERSTOOD: Final = re.compile(r"curl -s|\\\n")


def called(client: APIClient, call: str, **words: str) -> Any:
    """Return the JSON that the call is answered; the words stand for what the reader fills in."""
    for name, value in words.items():
        call = call.replace(f"${name}", value)
    address, body, form = ADDRESS.search(call), BODY.search(call), FORM.findall(call)
    assert address, call
    rest = call
    for part in (ADDRESS, HEADER, BODY, FORM, METHOD, UNDERSTOOD):
        rest = part.sub("", rest)
    assert rest.strip() == "", f"Teach this test what {rest.strip()} means."
    headers = {name: value for name, value in HEADER.findall(call) if name != "Content-Type"}
    method = found[1] if (found := METHOD.search(call)) else "POST" if body or form else "GET"
    if form:
        fields: dict[str, Any] = {name or plain: text or word for name, text, plain, word in form}
        assert fields["file"] == "@people.csv"
        answer: Any = client.post(
            address[1],
            {**fields, "file": SimpleUploadedFile("people.csv", PEOPLE)},
            format="multipart",
            headers=headers,
        )
    else:
        answer = client.generic(
            method, address[1], body[1] if body else "", "application/json", headers=headers
        )
    assert answer.status_code in (200, 201), (call, answer.getvalue())
    return json.loads(answer.getvalue())


def test_it_shows_ten_calls() -> None:
    assert len(CALLS) == 10


def test_every_call_it_shows_is_answered(settings: Settings, anonymous: APIClient) -> None:
    settings.RATE_LIMIT = "off"
    demo.fill()
    sign_in, send, look, once, follow, find, pause, move, add, bring = CALLS
    block = source.section("docs/api.md", "### Look before you send").split("```json")[1]
    shown = {
        name: value
        for name, value in json.loads(block.split("```")[0]).items()
        if name not in EACH_TIME
    }
    soon = (datetime.now(UTC) + timedelta(days=30)).isoformat()

    token = called(anonymous, sign_in)["accessToken"]
    sent = called(anonymous, send, TOKEN=token)
    seen = called(anonymous, look, TOKEN=token)
    named = [called(anonymous, once, TOKEN=token) for _ in range(2)]
    later = send.replace('"type"', f'"scheduledAt": "{soon}", "type"')
    scheduled = called(anonymous, later, TOKEN=token)["queueId"]
    followed = called(anonymous, follow, TOKEN=token, QUEUE=sent["queueId"])
    found = called(anonymous, find, TOKEN=token)
    paused = called(anonymous, pause, TOKEN=token, QUEUE=sent["queueId"])
    moved = called(anonymous, re.sub(r"20\d\d-[\w:-]+Z", soon, move), TOKEN=token, QUEUE=scheduled)
    added = called(anonymous, add, TOKEN=token)
    brought = called(anonymous, bring, TOKEN=token)

    assert len(sent["messages"]) == seen["recipients"] == followed["counts"]["messages"]
    assert named[0] == named[1]
    assert Broadcast.objects.count() == 3
    colombian = [one for one in sent["messages"] if one["recipient"].startswith("+57")]
    assert found["meta"]["totalRecords"] == 3 * len(colombian)
    assert {name: seen[name] for name in shown} == shown
    assert set(seen) == set(shown) | EACH_TIME
    assert (paused["status"], paused["pausedBecause"]) == ("PAUSED", "operator")
    assert moved["status"] == "SCHEDULED"
    assert (added["e164"], added["name"]) == ("+573017654321", "Ana María")
    assert set(brought) == {"jobId"}


def test_it_knows_every_address() -> None:
    schema = json.loads(Client().get("/api/schema", headers={"accept": "application/json"}).content)
    quoted = " ".join(re.findall(r"`([^`\n]+)`", PAGE))

    unknown = {
        path
        for path in schema["paths"]
        if re.sub(r"\{\w+\}", "{", path) not in re.sub(r"\{\w+\}", "{", PAGE)
        and not re.search(rf"(^|[\s/…]){re.escape(path.rsplit('/', 1)[-1])}(\s|$)", quoted)
    }

    assert unknown == set()


def test_what_the_table_of_messages_says_of_filters_is_what_is_taken(
    client_of: ClientOf, ana: Member
) -> None:
    rows = source.table("docs/api.md", "## Look things up")
    schema = json.loads(Client().get("/api/schema", headers={"accept": "application/json"}).content)
    taken = {each["name"] for each in schema["paths"]["/api/messages"]["get"]["parameters"]}

    named = {word for row in rows for word in re.findall(r"`(\w+)`", row[0])}

    assert taken - {"page", "limit", "after"} <= named
