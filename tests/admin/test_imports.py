"""The admin's pages of imports: upload, columns, standing, report."""

import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from contacts.import_rows import ImportJob
from contacts.imports import jobs, working
from contacts.models import Contact
from tests.admin.pages import address, rows, text
from tests.config.working import empty_queues
from tests.contacts.factories import ContactFactory, TagFactory
from tests.contacts.files import csv

pytestmark = pytest.mark.django_db

UPLOAD = "admin:contacts_importjob_upload"
COLUMNS = "admin:contacts_importjob_columns"
FILE = ("Nombre;Móvil;Zapato", "Ana;300 123 4567;38", "Eva;nonsense;39")
CONFIRMED = {
    "header-0": "Nombre", "field-0": "name",
    "header-1": "Móvil", "field-1": "phone",
    "header-2": "Zapato", "field-2": "",
}  # fmt: skip


@pytest.fixture
def browser(admin_of, sara) -> Client:
    return admin_of(sara)


@pytest.fixture(autouse=True)
def no_wakes() -> Any:
    yield
    empty_queues()


@pytest.fixture
def imported(sara) -> ImportJob:
    """One that is finished, with a row that was not taken."""
    job = jobs.start(member=sara, file=csv(*FILE), file_name="people.csv")
    while working.work(job_id=job.pk):
        pass
    job.refresh_from_db()
    return job


def upload(browser: Client, *lines: str, **given: Any) -> Any:
    file = csv(*(lines or FILE))
    file.name = "people.csv"
    return browser.post(reverse(UPLOAD), {"file": file, "mode": "UPDATE", **CONFIRMED, **given})


def test_the_list_of_contacts_leads_to_an_import(browser) -> None:
    page = browser.get(address(Contact))

    assert reverse("admin:contacts_contact_import_contacts") in page.content.decode()
    assert browser.get(reverse("admin:contacts_contact_import_contacts")).url == reverse(UPLOAD)


def test_who_chose_a_file_sees_its_rows_and_what_the_columns_seem_to_be(browser) -> None:
    file = csv(*FILE)
    file.name = "people.csv"

    page = browser.post(reverse(COLUMNS), {"file": file})

    shown = page.content.decode()
    assert "2 rows below the header" in text(page)
    assert "300 123 4567" in shown
    assert page.context["columns"] == [("Nombre", "name"), ("Móvil", "phone"), ("Zapato", "")]
    assert '<option value="phone" selected>' in shown


def test_a_file_that_cannot_be_read_is_told_at_once(browser) -> None:
    file = io.BytesIO(b"%PDF-1.7")
    file.name = "people.pdf"

    page = browser.post(reverse(COLUMNS), {"file": file})

    assert "Save the table as CSV in UTF-8, or as XLSX" in text(page)


def test_what_was_confirmed_is_imported(browser, acme) -> None:
    tag = TagFactory.create(organization=acme)

    answer = upload(browser, tag=str(tag.pk))

    job = ImportJob.objects.get()
    assert answer.url == address(job, "change")
    assert (job.total, job.mode, job.tag_ids, job.file_name) == (
        2,
        "UPDATE",
        [tag.pk],
        "people.csv",
    )
    while working.work(job_id=job.pk):
        pass
    contact = Contact.objects.get()
    assert (contact.name, contact.e164, list(contact.tags.all())) == ("Ana", "+573001234567", [tag])


def test_without_the_page_of_columns_they_are_guessed(browser) -> None:
    file = csv(*FILE)
    file.name = "people.csv"

    browser.post(reverse(UPLOAD), {"file": file, "mode": "ADD"})

    assert ImportJob.objects.get().mode == "ADD"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"field-1": ""}, "which column holds the phone numbers"),
        ({"field-0": "phone"}, "Two columns are matched"),
        ({"mode": "DELETE_ALL"}, "Tick this to replace all contacts"),
        ({"mode": "nonsense"}, "not one of the available choices"),
        ({"file": ""}, "This field is required"),
    ],
)
def test_what_is_wrong_is_said_on_the_page(browser, given, says) -> None:
    page = upload(browser, **given)

    assert says in text(page)
    assert ImportJob.objects.count() == 0


def test_a_second_one_is_told_to_wait(browser) -> None:
    upload(browser)

    assert "Another import of your organization is running" in text(upload(browser))


def test_replacing_needs_a_tick(browser, acme) -> None:
    ContactFactory.create(organization=acme, phone="+573119999999")

    upload(browser, mode="DELETE_ALL", replaces="on")

    job = ImportJob.objects.get()
    while working.work(job_id=job.pk):
        pass
    assert [contact.name for contact in Contact.objects.living()] == ["Ana"]


def test_a_running_import_is_asked_again_and_a_finished_one_is_not(browser, sara) -> None:
    job = jobs.start(member=sara, file=csv(*FILE), file_name="people.csv")
    live = reverse("admin:contacts_importjob_live", args=[job.pk])

    before = browser.get(live)
    while working.work(job_id=job.pk):
        pass
    after = browser.get(live)

    assert f'hx-get="{live}"' in before.content.decode()
    assert "Processing" in text(before)
    assert "hx-get" not in after.content.decode()
    assert "Completed" in text(after)


def test_its_page_tells_figures_and_reasons(browser, imported) -> None:
    shown = text(browser.get(address(imported, "change")))

    assert "Dealt with 2 / 2" in shown
    assert "Contacts added 1" in shown
    assert "Rows not taken 1" in shown
    assert "3 This is no valid phone number." in shown


def test_the_report_is_a_download(browser, imported) -> None:
    answer = browser.get(reverse("admin:contacts_importjob_report", args=[imported.pk]))

    assert answer["Content-Disposition"].startswith("attachment")
    assert b"3,invalid_number" in b"".join(answer.streaming_content)


def test_S55_nobody_changes_or_deletes_one(browser, admin_of, root, imported) -> None:
    for who in (browser, admin_of(root)):
        assert who.get(address(imported, "delete")).status_code == 403
        assert who.post(address(imported, "change"), {"file_name": "x"}).status_code == 403
        assert who.get(address(ImportJob, "add")).status_code == 403


def test_S54_another_house_sees_nothing_of_it(admin_of, carla, vera, root, imported) -> None:
    pages = [
        address(imported, "change"),
        *(
            reverse(f"admin:contacts_importjob_{page}", args=[imported.pk])
            for page in ("live", "report")
        ),
    ]

    assert rows(admin_of(carla).get(address(ImportJob))) == []
    assert rows(admin_of(vera).get(address(ImportJob))) == [imported]
    assert rows(admin_of(root).get(address(ImportJob))) == [imported]
    for page in pages:
        assert admin_of(carla).get(page).status_code == 404
        assert admin_of(vera).get(page).status_code == 200


def test_who_may_not_import_is_not_asked_for_a_file(admin_of, vera, root) -> None:
    for member in (vera, root):
        browser = admin_of(member)
        assert browser.get(reverse(UPLOAD)).status_code == 403
        assert upload(browser).status_code == 403
        assert browser.post(reverse(COLUMNS)).status_code == 403
        assert "import_contacts" not in browser.get(address(Contact)).content.decode()
    assert ImportJob.objects.count() == 0


def test_S56_what_a_file_says_is_shown_and_never_run(browser) -> None:
    file = csv("<script>x</script>,phone", "<img src=x onerror=y>,300 123 4567")
    file.name = "<b>.csv"

    page = browser.post(reverse(COLUMNS), {"file": file}).content.decode()

    assert "<script>x" not in page
    assert "<img" not in page


def test_the_list_costs_no_query_a_row(browser, sara, django_assert_max_num_queries) -> None:
    for _each in range(5):
        job = jobs.start(member=sara, file=csv(*FILE), file_name="people.csv")
        while working.work(job_id=job.pk):
            pass

    with django_assert_max_num_queries(9):
        assert len(rows(browser.get(address(ImportJob)))) == 5
