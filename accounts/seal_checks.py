"""Holding the audit trail against its seals: which entry was changed, taken away, or put in."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from accounts import seals
from accounts.models import AuditEntry, AuditHead, AuditSeal
from accounts.seals import Head, Seal

PATIENCE: Final = timedelta(minutes=10)
"""How long an entry may wait for its seal: a transaction may take five minutes, and a dispatcher restart."""

_PAGE: Final = 5_000  # seals in memory at once


@dataclass(slots=True)
class Check:
    """One reading of the whole chain, page by page: a million seals need no more memory than a page."""

    noted: Head | None = None
    """An end of the chain that was printed or logged earlier: it must still be in it."""
    sealed: int = 0
    head: Head | None = None
    """The end of the chain as the database has it; None where there is none."""
    tell: Callable[[int, int], None] | None = None
    """Called after each page with how many seals were read, and how many there are."""

    def findings(self) -> Iterator[str]:
        """Yield a sentence for each fault, naming the entry or the seal."""
        # Read first: what is sealed meanwhile lies behind it.
        row = AuditHead.objects.first()
        end = Head(row.sequence, bytes(row.mac)) if row is not None else None
        self.head = end
        wanted = [head for head in (end, self.noted) if head is not None and head.sequence]
        yield from self._walk({head.sequence: head for head in wanted})
        if row is None:
            if self.sealed:
                yield "the end of the chain is missing: its row was taken away"
        elif not seals.is_proven(Head(row.sequence, bytes(row.mac)), bytes(row.proof)):
            yield "the end of the chain was changed: its code is not made with this AUDIT_KEY"
        yield from self._unsealed()

    def _walk(self, wanted: dict[int, Head]) -> Iterator[str]:
        last, is_current = Head(0, b""), False
        while page := _page(after=last.sequence):
            digests = seals.digests_of([seal.entry_id for seal in page])
            for seal in page:
                yield from self._gap(last.sequence, seal.sequence)
                if seal.sequence == last.sequence + 1 and seal.previous != last.mac:
                    yield f"seal {seal.sequence} does not follow seal {last.sequence}"
                key = _key_of(seal)
                if key is None:
                    yield f"seal {seal.sequence} was changed (it seals entry {seal.entry_id})"
                elif is_current and key:
                    yield f"seal {seal.sequence} is made with an earlier AUDIT_KEY, after it was replaced"
                else:
                    is_current = is_current or key == 0
                yield from self._entry(seal, digests)
                last = Head(seal.sequence, seal.mac)
                if (head := wanted.pop(seal.sequence, None)) and head.mac != last.mac:
                    yield f"seal {seal.sequence} is not the one that was noted"
                self.sealed += 1
            if self.tell is not None:
                self.tell(self.sealed, max(self.sealed, self.head.sequence if self.head else 0))
        for sequence in sorted(wanted):
            yield from self._gap(last.sequence, sequence + 1)
            last = Head(max(sequence, last.sequence), b"")

    def _gap(self, before: int, after: int) -> Iterator[str]:
        if after - before == 2:
            yield f"seal {before + 1} is missing"
        elif after - before > 2:
            yield f"seals {before + 1} to {after - 1} are missing"

    def _entry(self, seal: Seal, digests: dict[UUID, bytes]) -> Iterator[str]:
        digest = digests.get(seal.entry_id)
        if digest is None:
            yield f"entry {seal.entry_id} is missing (seal {seal.sequence})"
        elif digest != seal.digest:
            yield f"entry {seal.entry_id} was changed (seal {seal.sequence})"

    def _unsealed(self) -> Iterator[str]:
        sealed = AuditSeal.objects.filter(entry=OuterRef("pk"))
        entries = AuditEntry.objects.filter(~Exists(sealed), created_at__lt=Now() - PATIENCE)
        for entry in entries.order_by("created_at", "pk")[:_PAGE]:
            yield f"entry {entry.pk} is not sealed ({entry.act}, {entry.created_at:%Y-%m-%d %H:%M:%S})"


def _page(*, after: int) -> list[Seal]:
    rows = AuditSeal.objects.filter(pk__gt=after).order_by("pk")
    return [
        Seal(sequence, entry_id, bytes(digest), bytes(previous), bytes(mac))
        for sequence, entry_id, digest, previous, mac in rows.values_list(*Seal._fields)[:_PAGE]
    ]


def _key_of(seal: Seal) -> int | None:
    """Return which of the keys made the seal's code, 0 being the one in force; None where none did."""
    for number, key in enumerate(seals.keys()):
        code = seals.mac_of(key, seal.sequence, seal.entry_id, seal.digest, seal.previous)
        if hmac.compare_digest(code, seal.mac):
            return number
    return None
