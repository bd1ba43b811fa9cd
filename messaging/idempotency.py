"""Keys of requests to send: one execution a key, and no second broadcast of the same by mistake.

Both are rows of one table. A row goes in first, in the transaction that accepts the broadcast: a twin
waits at the unique index until it is known how the first ended, and a refusal takes the row with it.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import OperationalError, connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from psycopg import errors

from messaging.models import Broadcast, IdempotencyKey

KEPT: Final = 24 * 3600  # seconds
BITE: Final = 50_000  # keys forgotten in one transaction
PATIENCE: Final = 5  # seconds a twin waits for the first, by `lock_timeout`
SHORT_PATIENCE: Final = 2  # where half of this process's threads wait already
_PLACES: Final = threading.BoundedSemaphore(4)  # half of the threads that a web process has

_VALID: Final = re.compile(r"(?=.*[^ ])[ -~]{1,255}")  # ASCII, and something of it visible

# What a client's key, which is ASCII, can never begin with.
_REPEAT: Final = "→"

_CLAIM: Final = """
INSERT INTO messaging_idempotencykey (organization_id, key, fingerprint, broadcast_id)
VALUES (%(organization_id)s, %(key)s, %(fingerprint)s, %(queue_id)s)
ON CONFLICT (organization_id, key) DO NOTHING RETURNING id
"""

# A broadcast that was canceled or reached nobody may be sent again at once.
_CLAIM_REPEAT: Final = """
INSERT INTO messaging_idempotencykey AS known (organization_id, key, fingerprint, broadcast_id)
VALUES (%(organization_id)s, %(key)s, %(fingerprint)s, %(queue_id)s)
ON CONFLICT (organization_id, key) DO UPDATE
SET created_at = clock_timestamp(), broadcast_id = excluded.broadcast_id
WHERE %(is_meant)s OR known.created_at <= clock_timestamp() - %(seconds)s * interval '1 second'
  OR EXISTS (SELECT FROM messaging_broadcast b WHERE b.id = known.broadcast_id
    AND (b.status = 'CANCELED' OR b.messages_total = 0))
RETURNING id
"""

# The guard of an organization may look further back than keys are kept.
_FORGET: Final = """
DELETE FROM messaging_idempotencykey WHERE id IN (
  SELECT known.id FROM messaging_idempotencykey known
  JOIN accounts_organization o ON o.id = known.organization_id
  WHERE known.created_at < statement_timestamp() - %(kept)s * interval '1 second'
    AND (NOT starts_with(known.key, %(repeat)s)
      OR known.created_at < statement_timestamp() - o.repeat_guard_seconds * interval '1 second')
  LIMIT %(bite)s FOR UPDATE OF known SKIP LOCKED
)
"""


class InvalidKey(Exception):
    """This is no key; nothing was done."""


class KeyStillRunning(Exception):
    """The first request of this key is still being carried out; this one did nothing."""

    retry_after = PATIENCE


class KeyUsedForAnother(Exception):
    """The key stands for another request; nothing was done."""


class SentJustNow(Exception):
    """The organization sent the same to the same a moment ago; nothing was done."""


class CarriedOutBefore(Exception):
    """The request was carried out before: `broadcast` is what came of it. Nothing was done again."""

    def __init__(self, broadcast: Broadcast) -> None:
        self.broadcast = broadcast
        super().__init__(_("This request was carried out before."))


@dataclass(frozen=True, slots=True)
class Once:
    """A client's name for one request, and what the request asks for."""

    key: str
    fingerprint: str


def once(*, key: str, method: str, path: str, fields: Mapping[str, Any]) -> Once:
    """Return the request under its key. The fields are the validated ones: spelling makes no difference.

    Raises: InvalidKey.
    """
    if not _VALID.fullmatch(key):
        raise InvalidKey(
            _("Write an Idempotency-Key of 1 to 255 ASCII letters, digits and signs, as a UUID.")
        )
    return Once(key, _fingerprint(method, path, fields))


def _fingerprint(*parts: object) -> str:
    written = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()


def require_not_carried_out(*, organization_id: UUID, once: Once) -> None:
    """Pass unless this very request was carried out before.

    Raises: CarriedOutBefore.
    """
    known = _known(organization_id, once)
    if known is not None and known.fingerprint == once.fingerprint:
        raise CarriedOutBefore(_broadcast_of(known))


def require_free(*, organization_id: UUID, once: Once) -> None:
    """Pass unless the key stands for a request already.

    Raises: CarriedOutBefore, KeyUsedForAnother.
    """
    known = _known(organization_id, once)
    if known is None:
        return
    if known.fingerprint == once.fingerprint:
        raise CarriedOutBefore(_broadcast_of(known))
    raise KeyUsedForAnother(
        _("This Idempotency-Key stands for another request. Send this one with a new key.")
    )


def _known(organization_id: UUID, once: Once) -> IdempotencyKey | None:
    return (
        IdempotencyKey.objects.filter(organization_id=organization_id, key=once.key)
        .select_related("broadcast")
        .first()
    )


def _broadcast_of(known: IdempotencyKey) -> Broadcast:
    if known.broadcast is None:
        raise TypeError("A key is written together with its broadcast.")
    return known.broadcast


def claim(*, organization_id: UUID, once: Once, queue_id: UUID) -> None:
    """Bind the key to the broadcast, in the transaction that goes on to write it.

    A twin waits here for up to five seconds until the first is committed, and then hears what came of
    it; where the first was refused, the twin is carried out. While half the threads of this process wait
    so, further twins wait for two seconds: one client's must not keep all others from being served.

    Raises: CarriedOutBefore, KeyUsedForAnother, KeyStillRunning.
    """
    claimed = False
    while not claimed:  # again only where the key was forgotten between the two statements
        try:
            claimed = _insert(_CLAIM, organization_id, once.key, once.fingerprint, queue_id)
        except _Waited as error:
            raise _still_running() from error
        if not claimed:
            require_free(organization_id=organization_id, once=once)


def claim_text(
    *, organization_id: UUID, queue_id: UUID, seconds: int, is_meant: bool, what: Mapping[str, Any]
) -> None:
    """Note what the organization is about to send, in the transaction that goes on to write it.

    Where it sent the same within so many seconds this refuses, unless it `is_meant`: a request with a
    key of its own. Of two at the same moment one passes.

    Raises: SentJustNow, KeyStillRunning.
    """
    digest = _fingerprint(what)
    try:
        claimed = _insert(
            _CLAIM_REPEAT,
            organization_id,
            f"{_REPEAT}{digest}",
            digest,
            queue_id,
            seconds=seconds,
            is_meant=is_meant,
        )
    except _Waited as error:
        if is_meant:
            raise _still_running() from error
        claimed = False
    if not claimed:
        raise SentJustNow(
            ngettext(
                "Your organization sent this text to the same people less than %(seconds)d second ago."
                " Wait, or send it with an Idempotency-Key if you mean it.",
                "Your organization sent this text to the same people less than %(seconds)d seconds ago."
                " Wait, or send it with an Idempotency-Key if you mean it.",
                seconds,
            )
            % {"seconds": seconds}
        )


def _still_running() -> KeyStillRunning:
    return KeyStillRunning(
        _(
            "The same is being accepted at this moment. Send it again in a few seconds, with the same"
            " Idempotency-Key or confirmToken: what was carried out is answered as it was then."
        )
    )


class _Waited(Exception):
    """Another transaction kept the row for longer than anybody waits."""


def _insert(
    statement: str,
    organization_id: UUID,
    key: str,
    fingerprint: str,
    queue_id: UUID,
    **parameters: Any,
) -> bool:
    row: dict[str, Any] = {
        "organization_id": organization_id,
        "key": key,
        "fingerprint": fingerprint,
        "queue_id": queue_id,
    }
    try:
        with _waiting(), connection.cursor() as cursor:
            cursor.execute(statement, row | parameters)
            return cursor.fetchone() is not None
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable):
            raise _Waited from error
        raise


@contextmanager
def _waiting() -> Iterator[None]:
    """Have the statement wait for its twin as long as anybody may who would keep the others waiting."""
    has_place = _PLACES.acquire(blocking=False)
    try:
        if has_place:
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, TRUE)", [f"{SHORT_PATIENCE}s"])
            yield
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    finally:
        if has_place:
            _PLACES.release()


def forget_old() -> bool:
    """Forget one bite of the keys that are older than 24 hours; return whether there are more."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"kept": KEPT, "repeat": _REPEAT, "bite": BITE})
        return bool(cursor.rowcount == BITE)
