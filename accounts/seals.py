"""Sealing the audit trail: a chain of codes over its entries, which only the holder of AUDIT_KEY can make.

An entry is a plain insert of the act's own transaction, and the database notes beside it, in that
transaction, that it waits. Whatever is noted is committed: so an entry is sealed however late its
transaction ends, and accepting a broadcast waits for nobody's seal.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from accounts.models import AuditEntry, AuditHead, AuditSeal, UnsealedEntry

log = logging.getLogger(__name__)

BITE: Final = 5_000  # entries sealed in one transaction
_FIELDS: Final = (
    "id",
    "created_at",
    "organization_id",
    "member_id",
    "act",
    "subject",
    "details",
    "address",
)

# One statement a bite: rows of the ORM cost ten times as much.
_INSERT: Final = """
INSERT INTO accounts_auditseal (sequence, entry_id, digest, previous, mac)
SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::bytea[], %s::bytea[], %s::bytea[])
"""
_TAKE: Final = "DELETE FROM accounts_unsealedentry WHERE number = ANY(%s)"


class Seal(NamedTuple):
    """One seal, as its row has it."""

    sequence: int
    entry_id: UUID
    digest: bytes
    previous: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: the number of its last seal, and that seal's code. Nothing secret."""

    sequence: int
    mac: bytes

    def __str__(self) -> str:
        return f"{self.sequence}:{self.mac.hex()}"

    @classmethod
    def read(cls, written: str) -> Head:
        """Return the head that was written so.

        Raises: ValueError.
        """
        sequence, _colon, code = written.strip().partition(":")
        head = cls(int(sequence), bytes.fromhex(code))
        if head.sequence < 1 or len(head.mac) != hashlib.sha256().digest_size:
            raise ValueError("not the end of a chain")
        return head


def seal() -> bool:
    """Seal a bite of the entries that wait; return whether more of them do.

    Each is sealed once, whoever else tries at the same moment: the chain's end is one locked row.
    Nobody else ever waits for that lock.
    """
    if not UnsealedEntry.objects.exists():
        return False
    with transaction.atomic():
        head = _hold_head()
        waiting = list(
            UnsealedEntry.objects.order_by("number").values_list("number", "entry_id")[:BITE]
        )
        entry_ids = _unsealed([entry_id for _number, entry_id in waiting])
        digests = digests_of(entry_ids)
        sealed = []
        for entry_id in entry_ids:
            if entry_id not in digests:
                # Somebody took it away before its seal: that, too, is kept.
                log.error("audit_entry_vanished", extra={"entry": str(entry_id)})
            sealed.append(_next(head, entry_id, digests.get(entry_id, b"")))
            head = Head(sealed[-1].sequence, sealed[-1].mac)
        _write(sealed, took=[number for number, _entry_id in waiting])
        _write_head(head)
    # The end of the chain, where whoever cuts it in the database cannot reach.
    log.info("audit_sealed", extra={"entries": len(sealed), "head": str(head)})
    return len(waiting) == BITE


def digests_of(entry_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Return the digest of each of these entries that exists."""
    entries = AuditEntry.objects.filter(pk__in=entry_ids).values_list(*_FIELDS)
    return {entry[0]: _digest(entry) for entry in entries}


def mac_of(key: str, sequence: int, entry_id: UUID, digest: bytes, previous: bytes) -> bytes:
    """Return the code of one seal. Every part has its length written before it."""
    return _mac(key, "seal", str(sequence).encode(), entry_id.bytes, digest, previous)


def proof_of(key: str, head: Head) -> bytes:
    """Return the code of the end of the chain."""
    return _mac(key, "head", str(head.sequence).encode(), head.mac)


def keys() -> list[str]:
    """Return AUDIT_KEY and the earlier ones that are still believed, the one in force first."""
    return [settings.AUDIT_KEY, *settings.AUDIT_KEY_FALLBACKS]


def is_proven(head: Head, proof: bytes) -> bool:
    return any(hmac.compare_digest(proof_of(key, head), proof) for key in keys())


def _hold_head() -> Head:
    """Return the end of the chain and hold it until the commit.

    Where its row is gone or was written by somebody else, a number is left out for ever, so that
    `manage.py verify_audit` keeps telling of it.
    """
    first = Head(0, b"")
    proof = b"" if AuditSeal.objects.exists() else proof_of(keys()[0], first)
    AuditHead.objects.get_or_create(
        pk=1, defaults={"sequence": first.sequence, "mac": first.mac, "proof": proof}
    )
    row = AuditHead.objects.select_for_update().get(pk=1)
    head = Head(row.sequence, bytes(row.mac))
    seal = AuditSeal.objects.order_by("-sequence").first()
    last = Head(seal.sequence, bytes(seal.mac)) if seal is not None else first
    if is_proven(head, bytes(row.proof)) and last.sequence <= head.sequence:
        return head
    log.error("audit_head_lost", extra={"last_seal": last.sequence})
    return Head(max(last.sequence, head.sequence) + 1, last.mac)


def _write_head(head: Head) -> None:
    AuditHead.objects.filter(pk=1).update(
        sequence=head.sequence, mac=head.mac, proof=proof_of(keys()[0], head)
    )


def _unsealed(entry_ids: Sequence[UUID]) -> list[UUID]:
    """Return those that have no seal, each once: a restored backup may have them wait again."""
    sealed = set(
        AuditSeal.objects.filter(entry_id__in=entry_ids).values_list("entry_id", flat=True)
    )
    return [entry_id for entry_id in dict.fromkeys(entry_ids) if entry_id not in sealed]


def _next(head: Head, entry_id: UUID, digest: bytes) -> Seal:
    sequence = head.sequence + 1
    mac = mac_of(keys()[0], sequence, entry_id, digest, head.mac)
    return Seal(sequence, entry_id, digest, head.mac, mac)


def _write(sealed: Sequence[Seal], *, took: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        if sealed:
            cursor.execute(_INSERT, [list(column) for column in zip(*sealed, strict=True)])
        # Each by its number: a lower one may have been committed since they were read.
        cursor.execute(_TAKE, [list(took)])


def _digest(entry: Sequence[object]) -> bytes:
    """Return the SHA-256 of an entry, written in one way: JSON with its keys in order."""
    written = json.dumps(entry, default=_plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).digest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value)


def _mac(key: str, *parts: str | bytes) -> bytes:
    framed = bytearray()
    for part in parts:
        plain = part.encode() if isinstance(part, str) else part
        framed += len(plain).to_bytes(4, "big") + plain
    return hmac.digest(key.encode(), bytes(framed), "sha256")
