"""What an import does with contacts: modes, duplicates, tags, reasons."""

from datetime import date
from typing import Any

import pytest

from accounts import roles
from accounts.models import AuditEntry, Organization
from contacts import suppressions
from contacts.import_rows import ImportChunk, ImportJob, ImportKey, UntakenRow
from contacts.imports import jobs, working
from contacts.imports.limits import FormatNotRead
from contacts.models import Contact, Tag
from tests.contacts.factories import ContactFactory, TagFactory
from tests.contacts.files import csv

pytestmark = pytest.mark.django_db

ANA, EVA, LUZ = "+573001234567", "+573001234568", "+573001234569"


@pytest.fixture
def brought(sara) -> Any:
    """Import these lines as Sara, to the end."""

    def run(*lines: str, **options: Any) -> ImportJob:
        job = jobs.start(member=sara, file=csv(*lines), file_name="people.csv", **options)
        while working.work(job_id=job.pk):
            pass
        job.refresh_from_db()
        return job

    return run


def living(organization: Organization) -> list[str]:
    """The numbers of the organization's contacts, in their order."""
    contacts = Contact.objects.living().filter(organization=organization)
    return list(contacts.order_by("created_at", "id").values_list("e164", flat=True))


def untaken(job: ImportJob) -> list[tuple[int, str]]:
    return list(job.untaken.order_by("line").values_list("line", "reason"))


def test_each_row_becomes_a_contact_with_its_number_read(acme, brought) -> None:
    job = brought(
        "phone,name,lastName,email,birthDate,country,status",
        "300 123 4567,Ana,Díaz,ana@example.org,1990-05-17,,",
        "55 1234 5678,Eva,,,17/05/1990,MX,blocked",
    )

    ana, eva = Contact.objects.order_by("created_at")
    assert (job.status, job.total, job.done, job.added) == ("COMPLETED", 2, 2, 2)
    assert (ana.phone, ana.e164, ana.region, ana.read_as) == ("300 123 4567", ANA, "CO", "CO")
    assert (ana.name, ana.last_name, ana.email) == ("Ana", "Díaz", "ana@example.org")
    assert (ana.birth_date, ana.status, ana.origin) == (date(1990, 5, 17), "ACTIVE", "IMPORT")
    assert (eva.e164, eva.country, eva.read_as) == ("+525512345678", "MX", "")
    assert (eva.birth_date, eva.status) == (date(1990, 5, 17), "BLOCKED")


def test_a_row_is_kept_as_saving_it_would(acme, brought) -> None:
    brought(
        "phone,country", "300 123 4567,", "55 1234 5678,MX", "+1 900 555 0123,", "601 2345678,CO"
    )

    for contact in Contact.objects.all():
        saved = Contact(organization=acme, phone=contact.phone, country=contact.country)
        saved.save()
        assert [getattr(contact, name) for name in ("e164", "region", "read_as", "refusal")] == [
            getattr(saved, name) for name in ("e164", "region", "read_as", "refusal")
        ]


def test_contacts_stand_in_the_order_of_the_file(acme, brought) -> None:
    numbers = [f"+57300{n:07}" for n in (5, 3, 9, 1, 7)]

    brought("phone", *numbers)

    assert living(acme) == numbers


def test_adding_reports_those_that_are_known(acme, brought) -> None:
    known = ContactFactory.create(organization=acme, phone=ANA, name="Old")

    job = brought("phone,name", f"{ANA},New", f"{EVA},Eva", mode="ADD")

    known.refresh_from_db()
    assert (job.added, job.updated, job.not_taken) == (1, 0, 1)
    assert untaken(job) == [(2, "known")]
    assert known.name == "Old"


def test_updating_changes_what_the_file_says_and_nothing_else(acme, brought) -> None:
    known = ContactFactory.create(
        organization=acme, phone="300 123 4567", name="Old", email="a@example.org", last_name="Díaz"
    )

    job = brought("phone,name,email,lastName", f"{ANA},New,,Pérez", f"{EVA},Eva,,")

    known.refresh_from_db()
    assert (job.added, job.updated, job.not_taken) == (1, 1, 0)
    assert (known.name, known.last_name, known.email) == ("New", "Pérez", "a@example.org")
    assert (known.phone, known.origin) == ("300 123 4567", "ADMIN")


def test_updating_takes_the_oldest_of_several_with_one_number(acme, brought) -> None:
    older = ContactFactory.create(organization=acme, phone=ANA, name="Older")
    younger = ContactFactory.create(organization=acme, phone=ANA, name="Younger")

    brought("phone,name", f"{ANA},New")

    older.refresh_from_db()
    younger.refresh_from_db()
    assert (older.name, younger.name) == ("New", "Younger")


def test_what_says_nothing_new_writes_nothing(acme, brought) -> None:
    known = ContactFactory.create(organization=acme, phone=ANA, name="Ana")

    job = brought("phone,name", f"{ANA},Ana")

    assert job.updated == 1
    assert Contact.objects.get(pk=known.pk).updated_at == known.updated_at


def test_replacing_takes_out_everybody_who_was_there(acme, borealis, brought) -> None:
    for number in (ANA, EVA):
        ContactFactory.create(organization=acme, phone=number, name="Old")
    ContactFactory.create(organization=borealis, phone=ANA)

    job = brought("phone,name", f"{EVA},New", f"{LUZ},Luz", mode="DELETE_ALL")

    assert (job.added, job.updated, job.deleted) == (2, 0, 2)
    assert living(acme) == [EVA, LUZ]
    assert living(borealis) == [ANA]
    assert Contact.objects.filter(organization=acme).count() == 4  # softly


def test_replacing_by_a_file_without_one_good_row_deletes_nobody(acme, brought) -> None:
    ContactFactory.create(organization=acme, phone=ANA)

    job = brought("phone,name", "Ana,300", "Eva,301", mode="DELETE_ALL")

    assert (job.status, job.failure, job.deleted) == ("ERROR", "nothing_taken", 0)
    assert living(acme) == [ANA]


def test_replacing_by_a_file_of_which_most_is_no_contact_changes_nobody(acme, brought) -> None:
    ContactFactory.create(organization=acme, phone=ANA, name="Old")

    job = brought("phone,name", f"{ANA},New", f"{ANA},Again", "Eva,3", "Luz,3", mode="DELETE_ALL")

    assert (job.status, job.failure) == ("ERROR", "few_taken")
    assert (job.added, job.deleted, job.not_taken) == (0, 0, 3)
    assert [contact.name for contact in Contact.objects.living()] == ["Old"]


def test_replacing_by_a_file_with_many_repeated_rows_replaces(acme, brought) -> None:
    ContactFactory.create(organization=acme, phone=EVA)

    job = brought("phone", ANA, ANA, ANA, "nonsense", mode="DELETE_ALL")

    assert (job.status, living(acme)) == ("COMPLETED", [ANA])


def test_whom_somebody_blocked_stays_blocked_when_all_are_replaced(acme, borealis, brought) -> None:
    ContactFactory.create(organization=acme, phone=ANA, status="BLOCKED")
    ContactFactory.create(organization=acme, phone=EVA, status="BLOCKED")
    ContactFactory.create(organization=borealis, phone=LUZ, status="BLOCKED")

    brought("phone,status", "300 123 4567,", f"{EVA},active", f"{LUZ},", mode="DELETE_ALL")

    assert dict(
        Contact.objects.living().filter(organization=acme).values_list("e164", "status")
    ) == {
        ANA: "BLOCKED",
        EVA: "ACTIVE",
        LUZ: "ACTIVE",
    }


def test_a_deleted_contact_is_no_known_one(acme, brought) -> None:
    ContactFactory.create(organization=acme, phone=ANA, deleted_at="2026-01-01T00:00Z")

    job = brought("phone", ANA, mode="ADD")

    assert (job.added, living(acme)) == (1, [ANA])


def test_of_one_number_twice_the_first_row_is_taken(acme, brought, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK", 2)  # in one chunk, and in another

    job = brought("phone,name", f"{ANA},First", "300 123 4567,Second", f"{EVA},Eva", f"{ANA},Third")

    assert untaken(job) == [(3, "repeated"), (5, "repeated")]
    assert job.untaken.get(line=5).sentence == "Line 2 of the file has the same number."
    assert Contact.objects.get(e164=ANA).name == "First"
    assert (job.added, job.not_taken, job.done) == (2, 2, 4)


def test_without_a_country_the_same_writing_is_the_same_number(acme, brought) -> None:
    acme.country = ""
    acme.save()
    ContactFactory.create(organization=acme, phone="300 123 4567", name="Old")

    job = brought("phone,name", "300 123 4567,New", "3001234567,Other", "300 123 4567,Twice")

    assert (job.added, job.updated, untaken(job)) == (1, 1, [(4, "repeated")])
    assert sorted(Contact.objects.values_list("name", "read_as")) == [
        ("New", "ZZ"),
        ("Other", "ZZ"),
    ]


@pytest.mark.parametrize(
    ("row", "reason", "says"),
    [
        (",Ana,,,,,", "no_number", "no phone number"),
        ("abc,Ana,,,,,", "invalid_number", "+57 300 123 4567"),
        ("12,Ana,,,,,", "invalid_number", "+57 300 123 4567"),
        (f"{'1' * 65},,,,,,", "too_long", "phone"),
        (f"{ANA},{'n' * 201},,,,,", "too_long", "name"),
        (f"{ANA},,ana@,,,,", "invalid_email", "e-mail"),
        (f"{ANA},,,31/31/1990,,,", "invalid_date", "1990-01-31"),
        (f"{ANA},,,yesterday,,,", "invalid_date", "1990-01-31"),
        (f"{ANA},,,,Atlantis,,", "unknown_country", "CO"),
        (f"{ANA},,,,,DEAD,", "invalid_status", "BLOCKED"),
        (f"{ANA},,,,,,{'t' * 101}", "too_long", "tags"),
        (f"{ANA},A\0na,,,,,", "unreadable", "cannot be stored"),
        (f"{ANA},Ana,,,,,,surplus", "too_many_cells", "more cells"),
    ],
)
def test_a_row_that_is_not_taken_says_why(acme, brought, row, reason, says) -> None:
    filler = [
        f"+57310{n:07},{'x' * 150},,,,," for n in range(60)
    ]  # past the part that tells text from data

    job = brought("phone,name,email,birthDate,country,status,tags", *filler, row)

    (found,) = job.untaken.all()
    assert (found.line, found.reason) == (62, reason)
    assert says in found.sentence
    assert (job.added, job.not_taken, job.status) == (60, 1, "COMPLETED")


def test_everybody_gets_the_tags_of_the_import_and_each_those_of_the_row(acme, brought) -> None:
    known = ContactFactory.create(organization=acme, phone=ANA)
    vip, old = (TagFactory.create(organization=acme, name=name) for name in ("VIP", "old"))
    known.tags.add(old, vip)

    brought("phone,tags", f"{ANA},new; VIP", f'{EVA},"new, other"', f"{LUZ},", tag_ids=[vip.pk])

    carried = {
        contact.e164: sorted(contact.tags.values_list("name", flat=True))
        for contact in Contact.objects.all()
    }
    assert carried == {ANA: ["VIP", "new", "old"], EVA: ["VIP", "new", "other"], LUZ: ["VIP"]}
    assert Tag.objects.filter(organization=acme).count() == 4


def test_premium_numbers_are_kept_as_everywhere_else(acme, brought) -> None:
    job = brought("phone", "+1 900 555 0123")

    assert job.added == 1
    assert Contact.objects.get().refusal == "unsupported_number"


def test_S33_an_opt_out_survives_deletion_and_import(acme, sara, brought) -> None:
    ContactFactory.create(organization=acme, phone=ANA)
    suppressions.add(organization=acme, recipient=ANA, source="MEMBER", member=sara)

    brought("phone", ANA, mode="DELETE_ALL")

    contact: Any = Contact.objects.living().with_opt_outs().get()
    assert contact.is_opted_out


def test_nothing_of_the_work_stays_but_the_report(acme, brought) -> None:
    brought("phone", ANA, "nonsense")

    assert (ImportChunk.objects.count(), ImportKey.objects.count()) == (0, 0)
    assert UntakenRow.objects.count() == 1


def test_the_audit_tells_of_begin_and_end_without_a_number_or_a_name(acme, sara, brought) -> None:
    job = brought("phone,name", f"{ANA},Ana", address="192.0.2.7")

    started, finished = AuditEntry.objects.filter(subject=f"importjob:{job.pk}").order_by(
        "created_at"
    )
    assert (started.act, started.member, started.address) == ("import.started", sara, "192.0.2.7")
    assert (finished.act, finished.member) == ("import.finished", sara)
    assert finished.details["added"] == 1
    assert "573001234567" not in f"{started.details}{finished.details}"
    assert "people" not in f"{started.details}{finished.details}"


def test_only_who_manages_contacts_imports(vera, root) -> None:
    for member in (vera, root):
        with pytest.raises(roles.RoleMissing):
            jobs.start(member=member, file=csv("phone", ANA), file_name="people.csv")

    assert ImportJob.objects.count() == 0


def test_a_second_import_is_refused_while_one_runs(acme, sara, carla, brought) -> None:
    jobs.start(member=sara, file=csv("phone", ANA), file_name="first.csv")

    with pytest.raises(jobs.ImportRunning):
        jobs.start(member=sara, file=csv("phone", EVA), file_name="second.csv")

    jobs.start(member=carla, file=csv("phone", EVA), file_name="another house.csv")
    assert ImportJob.objects.count() == 2


def test_a_file_that_breaks_off_leaves_nothing(acme, sara, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK", 1)

    with pytest.raises(FormatNotRead):
        jobs.start(
            member=sara, file=csv("phone,name", f"{ANA},Ana", f'{EVA},"never closed'), file_name="a"
        )

    assert (ImportJob.objects.count(), ImportChunk.objects.count()) == (0, 0)
