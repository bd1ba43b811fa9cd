"""S58: what the seals tell when somebody wrote to the audit trail past the application."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from accounts import audit, seals
from accounts.models import AuditEntry, AuditHead, AuditSeal
from tests.accounts.sealing import LONG_AGO, faults, head, recorded, unguarded, verified

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries(db: None) -> list[AuditEntry]:
    """Five entries of an hour ago, sealed."""
    made = recorded(5)
    assert not seals.seal()
    return made


def test_an_untouched_trail_is_confirmed_and_its_end_is_printed(entries: list[AuditEntry]) -> None:
    content, said = verified()

    assert content
    assert f"5 entries are sealed. The chain ends at {head()}" in said


def test_an_empty_trail_is_confirmed(db: None) -> None:
    assert verified() == (True, "Every entry is as it was written.\n")


def test_it_reads_the_chain_in_pages(
    entries: list[AuditEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.seal_checks._PAGE", 2)

    assert verified()[0]


CHANGES = {
    "act": "act = 'terms.accepted'",
    "subject": "subject = 'x:9'",
    "details": "details = '{\"amount\": 1000}'",
    "moment": "created_at = created_at + interval '1 microsecond'",
    "address": "address = '192.0.2.9'",
    "member": "member_id = gen_random_uuid()",
}


@pytest.mark.parametrize("column", CHANGES)
def test_S58_a_changed_entry_is_named(entries: list[AuditEntry], column: str) -> None:
    with unguarded() as cursor:
        cursor.execute(
            f"UPDATE accounts_auditentry SET {CHANGES[column]} WHERE id = %s", [entries[2].pk]
        )

    assert faults() == [f"entry {entries[2].pk} was changed (seal 3)"]


def test_S58_a_deleted_entry_is_named(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("DELETE FROM accounts_auditentry WHERE id = %s", [entries[1].pk])

    assert faults() == [f"entry {entries[1].pk} is missing (seal 2)"]


def test_S58_an_entry_deleted_before_its_seal_is_named(entries: list[AuditEntry]) -> None:
    (gone,) = recorded(1)
    with unguarded() as cursor:
        cursor.execute("DELETE FROM accounts_auditentry WHERE id = %s", [gone.pk])

    seals.seal()

    assert faults() == [f"entry {gone.pk} is missing (seal 6)"]


def test_S58_a_deleted_seal_is_named_with_its_entry(entries: list[AuditEntry]) -> None:
    with unguarded("accounts_auditseal") as cursor:
        cursor.execute("DELETE FROM accounts_auditseal WHERE sequence = 3")

    told = faults()
    assert told[0] == "seal 3 is missing"
    assert told[1].startswith(f"entry {entries[2].pk} is not sealed (credits.granted, ")
    assert len(told) == 2


def test_S58_a_deleted_seal_and_entry_are_named(entries: list[AuditEntry]) -> None:
    with unguarded("accounts_auditseal") as cursor, unguarded():
        cursor.execute("DELETE FROM accounts_auditseal WHERE sequence IN (2, 3)")
        cursor.execute(
            "DELETE FROM accounts_auditentry WHERE id = ANY(%s)", [[e.pk for e in entries[1:3]]]
        )

    assert faults() == ["seals 2 to 3 are missing"]


def test_S58_an_entry_put_in_past_the_database_is_named(entries: list[AuditEntry]) -> None:
    forged = uuid4()
    with unguarded() as cursor:
        cursor.execute(
            "INSERT INTO accounts_auditentry (id, created_at, act, subject, details)"
            " VALUES (%s, %s, 'credits.granted', 'x:1', '{}')",
            [forged, LONG_AGO],
        )
    seals.seal()

    (told,) = faults()
    assert told.startswith(f"entry {forged} is not sealed")


def test_S58_a_seal_made_without_the_key_is_named(entries: list[AuditEntry]) -> None:
    digest = seals.digests_of([entries[4].pk])[entries[4].pk]
    with unguarded("accounts_auditseal") as cursor:
        cursor.execute(
            "UPDATE accounts_auditseal SET mac = sha256(%s) WHERE sequence = 5", [digest]
        )

    told = faults()
    assert f"seal 5 was changed (it seals entry {entries[4].pk})" in told


def test_S58_seals_in_another_order_are_named(entries: list[AuditEntry]) -> None:
    with unguarded("accounts_auditseal") as cursor:
        for old, new in ((4, 99), (5, 4), (99, 5)):
            cursor.execute(
                "UPDATE accounts_auditseal SET sequence = %s WHERE sequence = %s", [new, old]
            )

    told = faults()
    assert f"seal 4 was changed (it seals entry {entries[4].pk})" in told
    assert f"seal 5 was changed (it seals entry {entries[3].pk})" in told


@pytest.mark.parametrize("cut_off", ["seals", "seals and entries"])
def test_S58_a_chain_whose_end_was_cut_off_is_named(
    entries: list[AuditEntry], cut_off: str
) -> None:
    cut([entry.pk for entry in entries[3:]] if cut_off == "seals and entries" else [])

    told = faults()
    assert told[0] == "seals 4 to 5 are missing"
    assert len(told) == (1 if cut_off == "seals and entries" else 3)


def cut(entry_ids: list[Any]) -> None:
    with unguarded("accounts_auditseal") as cursor, unguarded():
        cursor.execute("DELETE FROM accounts_auditseal WHERE sequence > 3")
        cursor.execute("DELETE FROM accounts_auditentry WHERE id = ANY(%s)", [entry_ids])


def test_S58_a_cut_stays_visible_when_sealing_goes_on(entries: list[AuditEntry]) -> None:
    cut([entry.pk for entry in entries[3:]])
    recorded(2)
    seals.seal()

    assert faults() == ["seals 4 to 5 are missing"]
    assert AuditSeal.objects.order_by("-sequence")[0].sequence == 7


@pytest.mark.parametrize("how", ["taken away", "written to fit"])
def test_S58_a_cut_that_hides_its_end_is_named(
    entries: list[AuditEntry], how: str, caplog: pytest.LogCaptureFixture
) -> None:
    cut([entry.pk for entry in entries[3:]])
    with unguarded("accounts_audithead") as cursor:
        if how == "taken away":
            cursor.execute("DELETE FROM accounts_audithead")
        else:
            cursor.execute(
                "UPDATE accounts_audithead SET sequence = 3,"
                " mac = (SELECT mac FROM accounts_auditseal WHERE sequence = 3)"
            )
    at_once = faults()
    recorded(1)
    seals.seal()
    seals.seal()

    assert at_once[0].startswith("the end of the chain ")
    assert "audit_head_lost" in caplog.messages
    assert faults() == ["seal 4 is missing"]


def test_S58_an_end_that_was_set_back_alone_is_named_and_sealing_goes_on(
    entries: list[AuditEntry],
) -> None:
    old = AuditHead.objects.values("sequence", "mac", "proof").get()
    recorded(2)
    seals.seal()
    AuditHead.objects.update(**old)
    recorded(1)
    seals.seal()

    assert faults() == ["seal 8 is missing"]


def test_S58_a_database_set_back_as_a_whole_is_seen_by_the_end_that_was_noted(
    entries: list[AuditEntry],
) -> None:
    old = AuditHead.objects.values("sequence", "mac", "proof").get()
    recorded(2)
    seals.seal()
    noted = head()
    assert verified(noted=seals.Head.read(noted))[0]

    with unguarded("accounts_auditseal") as cursor, unguarded():
        cursor.execute("DELETE FROM accounts_auditseal WHERE sequence > 5")
        cursor.execute(
            "DELETE FROM accounts_auditentry WHERE subject IN ('x:0', 'x:1') AND id <> ALL(%s)",
            [[e.pk for e in entries]],
        )
    AuditHead.objects.update(**old)

    assert verified()[0]  # inside the database nothing tells of it
    assert faults(noted=seals.Head.read(noted)) == ["seals 6 to 7 are missing"]


def test_what_was_noted_must_be_in_the_chain(entries: list[AuditEntry]) -> None:
    another = seals.Head(5, bytes(32))

    assert faults(noted=another) == ["seal 5 is not the one that was noted"]


def test_a_fresh_entry_may_still_wait(entries: list[AuditEntry]) -> None:
    audit.record(act="x", subject="x")

    assert verified()[0]


def test_an_end_that_cannot_be_read_is_told_how_it_is_written(db: None) -> None:
    for written in ("x", "5", "5:zz", "0:", "5:00"):
        with pytest.raises(CommandError, match="the number, a colon"):
            call_command("verify_audit", "--noted", written)


# --- changing the key -----------------------------------------------------------------------------
def test_B92_under_another_key_nothing_is_believed(
    entries: list[AuditEntry], settings: Any
) -> None:
    settings.AUDIT_KEY = "another key of fifty random characters, or of more than that"

    assert len(faults()) == 6


def test_B92_an_earlier_key_is_believed_for_what_it_sealed(
    entries: list[AuditEntry], settings: Any
) -> None:
    settings.AUDIT_KEY, settings.AUDIT_KEY_FALLBACKS = "new" * 20, [settings.AUDIT_KEY]
    recorded(2)
    seals.seal()

    assert verified()[0]


def test_B92_an_earlier_key_seals_nothing_any_more(
    entries: list[AuditEntry], settings: Any
) -> None:
    old = settings.AUDIT_KEY
    settings.AUDIT_KEY, settings.AUDIT_KEY_FALLBACKS = "new" * 20, [old]
    recorded(1)
    seals.seal()
    settings.AUDIT_KEY, settings.AUDIT_KEY_FALLBACKS = old, ["new" * 20]
    recorded(1)
    seals.seal()

    settings.AUDIT_KEY, settings.AUDIT_KEY_FALLBACKS = "new" * 20, [old]
    assert faults() == ["seal 7 is made with an earlier AUDIT_KEY, after it was replaced"]
