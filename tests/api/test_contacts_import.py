"""POST /api/contacts/import, its preview, GET …/status and …/errors."""

import io
import json
from csv import reader
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import AuditEntry
from contacts.import_rows import ImportChunk, ImportJob
from contacts.imports import jobs, limits, working
from contacts.models import Contact
from tests.api.refusals import fields, told
from tests.config.working import broker, empty_queues
from tests.contacts.factories import TagFactory
from tests.contacts.files import csv, texts, workbook

pytestmark = pytest.mark.django_db

PREVIEW = "/api/contacts/import/preview"
IMPORT = "/api/contacts/import"
RANDOM = "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10"
GOOD = ("Nombre;Celular", "Ana;300 123 4567", "Eva;nonsense")


@pytest.fixture
def sender(client_of, sara) -> APIClient:
    return client_of(sara)


@pytest.fixture(autouse=True)
def no_wakes() -> Any:
    yield
    empty_queues()


def named(file: io.BytesIO, name: str = "people.csv") -> io.BytesIO:
    file.name = name
    return file


def post(client: APIClient, url: str, *lines: str, **given: Any) -> Any:
    given.setdefault("file", named(csv(*(lines or GOOD))))
    return client.post(url, {key: value for key, value in given.items() if value is not None})


def finished(client: APIClient, answer: Any) -> dict[str, Any]:
    """Work the import to its end and return its status."""
    assert answer.status_code == 201, answer.json()
    job_id = answer.json()["jobId"]
    while working.work(job_id=job_id):
        pass
    status = client.get(f"{IMPORT}/{job_id}/status")
    assert status.status_code == 200
    found: dict[str, Any] = status.json()
    return found


# --- preview --------------------------------------------------------------------------------------
def test_a_preview_tells_columns_rows_and_what_they_seem_to_be(sender) -> None:
    answer = post(sender, PREVIEW)

    assert answer.status_code == 200
    assert answer.json() == {
        "headers": ["Nombre", "Celular"],
        "sampleData": [
            {"Nombre": "Ana", "Celular": "300 123 4567"},
            {"Nombre": "Eva", "Celular": "nonsense"},
        ],
        "availableFields": [
            "phone", "countryCode", "country", "name", "lastName", "email", "birthDate", "status", "tags",
        ],
        "totalRows": 2,
        "fieldMapping": {"phone": "Celular", "name": "Nombre"},
    }  # fmt: skip


def test_a_preview_shows_five_rows_counts_all_and_keeps_nothing(sender) -> None:
    answer = post(sender, PREVIEW, "phone", *map(str, range(40)))

    assert (len(answer.json()["sampleData"]), answer.json()["totalRows"]) == (5, 40)
    assert (ImportJob.objects.count(), ImportChunk.objects.count()) == (0, 0)


def test_a_workbook_is_known_by_its_content(sender) -> None:
    file = named(workbook(texts([["Nombre", "Celular"], ["Ana", "301"]])), "people.csv")

    assert post(sender, PREVIEW, file=file).json()["headers"] == ["Nombre", "Celular"]


def test_no_more_files_are_read_at_once_than_leave_threads_for_others(sender) -> None:
    with jobs._place(), jobs._place():
        answers = [post(sender, PREVIEW), post(sender, IMPORT)]

    for answer in answers:
        assert told(answer) == (503, "4090")
        assert answer["Retry-After"] == "30"
    assert ImportJob.objects.count() == 0
    assert post(sender, PREVIEW).status_code == 200


# --- import ---------------------------------------------------------------------------------------
def test_a_file_is_imported(sender, acme) -> None:
    mapping = json.dumps({"phone": "Celular", "name": "Nombre"})

    answer = post(sender, IMPORT, fieldMapping=mapping, importMode="UPDATE", tagIds="[]")
    status = finished(sender, answer)

    assert set(answer.json()) == {"jobId"}
    moments = {name: status.pop(name) for name in ("createdAt", "finishedAt")}
    assert all(moment.endswith("Z") for moment in moments.values())
    assert status == {
        "jobId": answer.json()["jobId"],
        "status": "COMPLETED",
        "message": "",
        "progress": 2,
        "total": 2,
        "importMode": "UPDATE",
        "added": 1,
        "updated": 0,
        "deleted": 0,
        "notTaken": 1,
        "errors": [
            {
                "line": 3,
                "code": "invalid_number",
                "reason": "This is no valid phone number. Write it with its country, as +57 300 123 4567.",
            }
        ],
    }
    assert Contact.objects.get(organization=acme).origin == "IMPORT"


def test_before_a_worker_comes_it_is_processing(sender) -> None:
    job_id = post(sender, IMPORT).json()["jobId"]

    status = sender.get(f"{IMPORT}/{job_id}/status").json()

    assert (status["status"], status["progress"], status["total"]) == ("PROCESSING", 0, 2)
    assert (status["errors"], status["finishedAt"]) == ([], None)


def test_a_worker_is_woken(sender) -> None:
    empty_queues()

    post(sender, IMPORT)

    with broker() as queue:
        assert queue.llen("chores") == 1


def test_only_the_file_is_needed(sender) -> None:
    status = finished(sender, post(sender, IMPORT))

    assert (status["importMode"], status["added"]) == ("UPDATE", 1)


def test_tags_are_put_on_all(sender, acme) -> None:
    tag = TagFactory.create(organization=acme)

    finished(sender, post(sender, IMPORT, tagIds=json.dumps([str(tag.pk)])))

    assert list(Contact.objects.get().tags.all()) == [tag]


def test_replacing_by_nothing_is_an_error_in_words(sender) -> None:
    status = finished(sender, post(sender, IMPORT, "phone", "abc", importMode="DELETE_ALL"))

    assert status["status"] == "ERROR"
    assert "no contact was deleted" in status["message"]


def test_the_answer_carries_a_hundred_errors_and_the_report_all(sender) -> None:
    status = finished(sender, post(sender, IMPORT, "phone", *["abc"] * 150))

    answer = sender.get(f"{IMPORT}/{status['jobId']}/errors")

    assert (len(status["errors"]), status["notTaken"]) == (100, 150)
    text = b"".join(answer.streaming_content).decode()
    lines = list(reader(text.removeprefix("\ufeff").splitlines()))
    assert text.startswith("\ufeff")  # as every CSV of the house: Excel reads it as UTF-8
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="import-')
    assert (lines[0], len(lines)) == (["line", "code", "reason"], 151)
    assert lines[150][:2] == ["151", "invalid_number"]
    assert lines[150][2].startswith("This is no valid")


# --- refusals -------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", [PREVIEW, IMPORT])
@pytest.mark.parametrize(
    ("given", "status", "code", "field"),
    [
        ({"file": None}, 400, "4000", "file"),
        ({"file": "text"}, 400, "4000", "file"),
        ({"file": io.BytesIO(b"")}, 400, "2011", "file"),
        ({"file": io.BytesIO(b"\x89PNG\r\n\x1a\n\0")}, 400, "2011", "file"),
        ({"file": io.BytesIO(b"PK\x03\x04")}, 400, "2011", "file"),
        ({"file": io.BytesIO(b"," * 900_000)}, 400, "2011", "file"),
        ({"file": io.BytesIO(b"a" + b"," * 900_000)}, 400, "2012", "file"),
    ],
)
def test_a_file_that_is_none_is_refused(sender, url, given, status, code, field) -> None:
    if isinstance(given["file"], io.BytesIO):
        given = {"file": named(io.BytesIO(given["file"].getvalue()))}

    answer = post(sender, url, **given)

    assert told(answer) == (status, code)
    assert fields(answer) == {field}


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"fieldMapping": "{"}, "4000", "fieldMapping"),
        ({"fieldMapping": "[]"}, "4000", "fieldMapping"),
        ({"fieldMapping": '{"phone": 5}'}, "2013", "fieldMapping"),
        ({"fieldMapping": '{"phone": ["Celular"]}'}, "4000", "fieldMapping"),
        ({"fieldMapping": "[" * 10_000}, "4000", "fieldMapping"),
        ({"fieldMapping": '{"name": "Nombre"}'}, "2013", "fieldMapping"),
        ({"fieldMapping": '{"phone": "Fax"}'}, "2013", "fieldMapping"),
        ({"fieldMapping": '{"phone": "Celular", "shoe": "Nombre"}'}, "2013", "fieldMapping"),
        ({"tagIds": "x"}, "4000", "tagIds"),
        ({"tagIds": '["x"]'}, "4000", "tagIds"),
        ({"tagIds": '{"a": 1}'}, "4000", "tagIds"),
        ({"importMode": "delete_everything"}, "4000", "importMode"),
        ({"importMode": "add"}, "4000", "importMode"),
    ],
)
def test_a_field_that_is_wrong_is_named(sender, given, code, field) -> None:
    answer = post(sender, IMPORT, **given)

    assert told(answer) == (400, code)
    assert {name.partition(".")[0] for name in fields(answer)} == {field}
    assert ImportJob.objects.count() == 0


def test_columns_that_nobody_can_guess_are_asked_for(sender) -> None:
    assert told(post(sender, IMPORT, "a,b", "1,2")) == (400, "2013")


@pytest.mark.parametrize("url", [PREVIEW, IMPORT])
@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("{}", "application/json", (415, "4041")),
        ("phone\n1", "text/csv", (415, "4041")),
        ("a=1", "application/x-www-form-urlencoded", (415, "4041")),
        ("nothing of the kind", "multipart/form-data", (400, "4000")),
        ("nothing of the kind", "multipart/form-data; boundary=x", (400, "4000")),
        ("--x\r\n", "multipart/form-data; boundary=x", (400, "4000")),
        ("", "multipart/form-data; boundary=x", (400, "4000")),
        (
            "--x\nContent-Disposition: form-data; name=file; filename*=bogus''%41.csv\n\n1\n--x--\n".replace(
                "\n", "\r\n"
            ),
            "multipart/form-data; boundary=x",
            (400, "4000"),
        ),
        (
            "".join(
                f"--x\r\nContent-Disposition: form-data; name=a{n}\r\n\r\n1\r\n"
                for n in range(2_100)
            ),
            "multipart/form-data; boundary=x",
            (400, "4000"),
        ),
        (
            f"--x\r\nContent-Disposition: form-data; name=tagIds\r\n\r\n{'1' * 300_000}\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
            (400, "4000"),
        ),
    ],
)
def test_S43_a_body_that_is_no_form_is_refused(sender, url, body, content_type, expected) -> None:
    assert told(sender.generic("POST", url, body, content_type)) == expected


@pytest.mark.parametrize("url", [PREVIEW, IMPORT])
def test_S59_a_request_over_the_limit_is_refused_before_it_is_read(sender, url) -> None:
    answer = sender.generic(
        "POST",
        url,
        b"",
        "multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(limits.LARGEST_FILE + 2**20),
    )

    assert told(answer) == (400, "2012")


def test_S43_no_other_address_takes_a_form(sender) -> None:
    assert told(sender.post("/api/contacts", {"phone": "1"})) == (415, "4041")


def test_a_second_one_is_refused_while_one_runs(sender) -> None:
    post(sender, IMPORT)

    assert told(post(sender, IMPORT)) == (409, "2014")
    assert post(sender, PREVIEW).status_code == 200


def test_another_houses_tag_is_as_one_that_is_not_there(sender, borealis) -> None:
    theirs = TagFactory.create(organization=borealis)

    for tag_id in (theirs.pk, RANDOM):
        answer = post(sender, IMPORT, tagIds=json.dumps([str(tag_id)]))
        assert told(answer) == (404, "1005")

    assert ImportJob.objects.count() == 0


def test_who_may_not_is_refused_before_the_body_is_read(anonymous, client_of, vera, root) -> None:
    for url in (PREVIEW, IMPORT):
        for body in ("", "nothing"):
            form = "multipart/form-data; boundary=x"
            assert told(anonymous.generic("POST", url, body, form)) == (401, "1002")
            for member in (vera, root):
                answer = client_of(member).generic("POST", url, body, form)
                assert told(answer) == (403, "1003")


def test_a_viewer_follows_an_import_and_another_house_does_not(
    sender, client_of, vera, carla, root, anonymous
) -> None:
    job_id = post(sender, IMPORT).json()["jobId"]

    for page in ("status", "errors"):
        url = f"{IMPORT}/{job_id}/{page}"
        assert client_of(vera).get(url).status_code == 200
        assert told(client_of(carla).get(url)) == (404, "1005")
        assert told(client_of(root).get(url)) == (403, "1003")
        assert told(anonymous.get(url)) == (401, "1002")
        assert told(sender.get(f"{IMPORT}/{RANDOM}/{page}")) == (404, "1005")


def test_other_methods_are_refused(sender) -> None:
    for url in (IMPORT, PREVIEW):
        assert told(sender.get(url)) == (405, "4040")
    assert told(sender.delete(f"{IMPORT}/{RANDOM}/status")) == (405, "4040")


def test_S19_what_is_not_asked_for_is_ignored(sender, acme, borealis) -> None:
    given = {
        "organization": str(borealis.pk),
        "organizationId": str(borealis.pk),
        "status": "ERROR",
    }

    finished(sender, post(sender, IMPORT, **given))

    assert Contact.objects.get().organization == acme


def test_the_audit_knows_who_from_where(sender, sara) -> None:
    post(sender, IMPORT)

    entry = AuditEntry.objects.get(act="import.started")
    assert (entry.member, entry.address) == (sara, "127.0.0.1")


def test_a_status_costs_few_queries(sender, django_assert_max_num_queries) -> None:
    status = finished(sender, post(sender, IMPORT, "phone", *["abc"] * 150))

    with django_assert_max_num_queries(6):
        sender.get(f"{IMPORT}/{status['jobId']}/status")
